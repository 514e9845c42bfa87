"""Controllers: what follows from objects is written to the store, until nothing is left to do."""
