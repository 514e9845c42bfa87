"""Tests of `kinds`."""
