"""What the mesh means: frozen values that every other package speaks in.

The ground floor: imports nothing of ours. Begin with `snapshot.Snapshot`, which goes into a compilation, and
`published.Published`, which comes out; `codes` has all that can be said to users.
"""
