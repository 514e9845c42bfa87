"""A Snapshot becomes, per proxy class, encoded Envoy resources with origins and diagnostics. Pure; door: compile.py."""
