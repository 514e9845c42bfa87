"""Columns of text, and values as JSON or YAML."""

import json
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of left-aligned columns, three spaces apart as kubectl and istioctl print them; empty cells are `-`."""
    lines = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def form(value: Any, output: str) -> str:
    """`value` as `json` or `yaml`."""
    if output == "json":
        return json.dumps(value, indent=2)
    import yaml

    return yaml.safe_dump(value, sort_keys=False, width=120).rstrip("\n")
