"""Says where a request would go and why, from the very bytes that proxies get. Pure: no I/O, no clock, no dice.

Above `model` and `envoyapi`, beside the compiler, which it does not know. Begin with `evaluate.evaluate`.
"""
