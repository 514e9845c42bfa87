"""One machine's pods: desired state, probes, restarts, drain, keys by SDS, the relay to local Envoys."""
