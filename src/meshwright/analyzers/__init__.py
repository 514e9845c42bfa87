"""Findings that need the whole mesh: a resolved snapshot in, diagnostics out. Pure: no I/O, no clock, no dice.

Above `model`, beside the compiler, which it does not know. Begin with `table.steps`; a new analyzer is a file
and a row there.
"""
