"""What a class sees becomes Envoy messages: clusters, endpoints, listeners, routes."""
