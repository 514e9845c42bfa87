"""The object API: Kubernetes' REST conventions over the store, so that kubectl and its like work unmodified."""
