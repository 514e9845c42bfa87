"""What the proxies count becomes Istio's standard metrics, a live graph, and a bounded memory of requests."""
