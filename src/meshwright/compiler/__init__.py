"""A Snapshot becomes encoded Envoy resources per proxy class, with origins and diagnostics. Pure."""
