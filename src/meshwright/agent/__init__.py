"""One machine's pods: desired state, probes, restarts, drain, and their Envoys.

A shell: it is handed everything that it needs of others (`ports.AgentPorts`). Begin with `agent.Agent`.
"""
