"""The wired processes: the only package that knows both the compiler and the shells.

Below `cli` alone. The processes are `control_plane.py`, `agent_process.py` and `telemetry_process.py`; without a
mesh there is `offline.OfflineMesh`.
"""
