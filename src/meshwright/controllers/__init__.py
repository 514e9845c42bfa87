"""Controllers: what follows from objects is written to the store, until nothing is left to do.

A shell above `store`. Begin with `controllers.Controllers`; a controller is a function from a `world.World`.
"""
