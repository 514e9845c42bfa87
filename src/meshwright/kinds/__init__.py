"""Values become model objects: one table of kinds, one reader per kind, every error of a document at once.

Above `documents`. Begin with `objects.read_objects`; the table is `table.py`.
"""
