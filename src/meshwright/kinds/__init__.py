"""Values become model objects: one table of kinds, one reader per kind, every error of a document at once."""
