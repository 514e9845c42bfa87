"""Envoy's messages, generated from the descriptors inside the pinned Envoy binary (tools/envoyapi.py).

The ground floor. `pool.py` finds classes and converts JSON, `rules.py` checks field rules; all folders are generated.
"""
