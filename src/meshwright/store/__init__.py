"""Writes become versioned objects that can be listed, watched, undone, and are never lost.

Below the shells. Begin with `store.Store.open`; an engine (`sqlite_engine.py`) keeps records, pure functions
(`decide.py`) decide.
"""
