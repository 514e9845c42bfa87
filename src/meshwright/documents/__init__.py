"""YAML and JSON text becomes values in which every field knows its line and column.

Above `model`. Begin with `reader.read`.
"""
