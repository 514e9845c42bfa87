"""Istio's standard metrics: of requests and of connections, and of messages of gRPC."""
