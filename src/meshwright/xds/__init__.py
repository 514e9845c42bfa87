"""Published sets go out over delta xDS: wire framing, sessions, phases, receipts.

Below the shells, of which control plane and agent use it. Begin with `server.XdsServer`; `http2.py` and `grpc.py` are
the wire, `session.py` is one proxy's stream.
"""
