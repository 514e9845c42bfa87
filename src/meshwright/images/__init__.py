"""Programs of ours behind well-known container images (Bookinfo, httpbin, helloworld, curl, sleep).

The ground floor, standard library only and little of it: each is a process of its own that should cost a few MiB.
`catalogue.yaml` says which image names they stand for.
"""
