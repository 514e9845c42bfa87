"""One file per feature: a model value becomes the Envoy messages that carry it."""
