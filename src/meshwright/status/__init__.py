"""What the mesh says about objects, on the objects, and who is to blame when Envoy refuses something.

Above the other shells, below `wiring`. Begin with `mesh_status.MeshStatus`.
"""
