"""Measurements, printed by `make bench`; ratios are taken in one run."""
