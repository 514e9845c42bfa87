"""Envoy's messages, generated from the descriptors inside the pinned Envoy binary (tools/envoyapi.py)."""
