"""Findings that need the whole mesh: a resolved snapshot in, diagnostics out. Pure: no I/O, no clock, no dice."""
