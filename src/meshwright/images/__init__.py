"""Programs of ours behind well-known container images (Bookinfo, httpbin, helloworld, curl, sleep).

Standard library only, and little of it: each is a process of its own that should cost a few MiB.
"""
