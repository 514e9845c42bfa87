"""What the proxies count becomes Istio's standard metrics, a live graph, and a bounded memory of requests.

A shell. Begin with `gathering.Gathering`, which asks the Envoys; the worker process is `wiring/telemetry_process.py`.
"""
