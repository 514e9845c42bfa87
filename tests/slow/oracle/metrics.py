"""What /metrics says, as numbers by labels, and what has been added between two looks."""

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Series = tuple[str, frozenset[tuple[str, str]]]


def address(data: Path) -> str:
    """Host and port of /metrics of a running mesh."""
    return f"127.0.0.1:{json.loads((data / 'run/telemetry.json').read_text())['metrics']}"


def told(data: Path) -> dict[Series, float]:
    """All series of one scrape."""
    with urllib.request.urlopen(f"http://{address(data)}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: dict[Series, float] = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is not None:
            name, labels, value = match.groups()
            found[name, frozenset(LABEL.findall(labels or ""))] = float(value)
    return found


def added(before: Mapping[Series, float], after: Mapping[Series, float], metric: str) -> Counter[Series]:
    """What one metric grew by."""
    grown: Counter[Series] = Counter()
    for series, value in after.items():
        amount = value - before.get(series, 0.0)
        if series[0] == metric and amount:
            grown[series] = round(amount)
    return grown
