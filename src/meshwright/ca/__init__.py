"""The mesh's certificate authority: keys, roots and leaf certificates with SPIFFE identities.

A shell. `authority.Authority` signs, in the control plane; `requested_leaves.RequestedLeaves` asks it, in an agent.
"""
