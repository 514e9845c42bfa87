"""Says where a request would go and why, from the very bytes that proxies get. Pure: no I/O, no clock, no dice."""
