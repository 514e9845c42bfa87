"""What Envoy's `/stats/prometheus` says, line by line, as numbers by metric and tags."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

PREFIX = "envoy_"
_TAG = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_ESCAPED = re.compile(r'\\[\\"n]')
MOST_KNOWN = 100_000

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line. `bound` is the upper bound of a histogram's bucket as it is written, "" for everything else."""

    metric: str
    tags: Tags
    bound: str
    value: float


REQUESTS = "istio_requests_total"
DURATIONS = "istio_request_duration_milliseconds"


def samples(text: str, prefix: str, *, histograms: bool = True) -> Iterator[Sample]:
    """The samples of metrics whose name (without Envoy's own prefix) begins with `prefix`.

    Envoy has no counter of requests: the count of their durations is told as one, too. Without `histograms` that is
    all that is told of durations.
    """
    wanted, durations, count = PREFIX + prefix, PREFIX + DURATIONS, f"{PREFIX}{DURATIONS}_count{{"
    for line in text.splitlines():
        if not line.startswith(wanted):
            continue
        if line.startswith(count):
            head, _, value = line.rpartition(" ")
            yield Sample(REQUESTS, _head(head)[1], "", float(value))
        if not histograms and line.startswith(durations):
            continue
        head, _, value = line.rpartition(" ")
        metric, tags, bound = _head(head)
        yield Sample(metric, tags, bound, float(value))


@lru_cache(maxsize=MOST_KNOWN)
def _head(head: str) -> tuple[str, Tags, str]:
    """Name and tags. The same heads come again and again: they are taken apart once."""
    name, brace, rest = head.partition("{")
    found = {key: _plain(value) for key, value in _TAG.findall(rest)} if brace else {}
    bound = found.pop("le", "")
    return name.removeprefix(PREFIX), tuple(found.items()), bound


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES[match.group()], value) if "\\" in value else value
