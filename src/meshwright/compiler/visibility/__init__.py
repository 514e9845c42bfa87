"""What one class of proxies may see of the resolved mesh."""
