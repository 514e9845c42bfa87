"""The stream between the control plane and the agent of each machine.

A shell above `xds`. The control plane's end is `server.NodeServer`, the agent's is `relay.Relay`.
"""
