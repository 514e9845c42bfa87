"""Programs of ours behind well-known container images (Bookinfo, httpbin, helloworld, curl, sleep). Standard library only."""
