"""The stream between the control plane and the agent of each machine."""
