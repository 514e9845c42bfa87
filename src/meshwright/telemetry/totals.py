"""Counters that only grow: what all proxies counted, by Istio's labels, whichever pods come and go.

A proxy that starts again begins at nothing; a pod that has gone takes none of its counts with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meshwright.telemetry.exposition import Sample, Tags
from meshwright.telemetry.facts import MeshFacts, PodFacts
from meshwright.telemetry.labels import Labels, istio_labels

MOST_SERIES = 20_000
"""Label sets; a sample of any further one is counted as `dropped` and otherwise forgotten."""
Raw = tuple[str, Tags, str]


@dataclass(slots=True)
class Series:
    """One metric's values by labels. `values` has the counter (bound ""), or a histogram's buckets, sum and count."""

    values: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Growth:
    """How much a counter, or a bucket of a histogram (with its `bound`), grew since the last look."""

    metric: str
    labels: Labels
    amount: float
    bound: str = ""


@dataclass(slots=True)
class _Proxy:
    """What one proxy said last, and what its tags were read as."""

    last: dict[Raw, float] = field(default_factory=dict[Raw, float])
    labels: dict[tuple[str, Tags], Labels] = field(default_factory=dict[tuple[str, Tags], Labels])
    read_with: MeshFacts | None = None


class Totals:
    """Feed it with each proxy's samples; read `series`."""

    def __init__(self, most: int = MOST_SERIES) -> None:
        self.series: dict[str, dict[Labels, Series]] = {}
        self.dropped = 0
        self._most = most
        self._count = 0
        self._proxies: dict[str, _Proxy] = {}

    def take(self, own: PodFacts, said: Iterable[Sample], facts: MeshFacts) -> list[Growth]:
        """Add what a proxy counted since its last call; what the counters and buckets among it grew by."""
        proxy = self._proxies.setdefault(own.name, _Proxy())
        if proxy.read_with is not facts:
            proxy.labels, proxy.read_with = {}, facts
        grown: list[Growth] = []
        for sample in said:
            raw = (sample.metric, sample.tags, sample.bound)
            before = proxy.last.get(raw)
            amount = sample.value if before is None or sample.value < before else sample.value - before
            proxy.last[raw] = sample.value
            if not amount and (before is not None or not sample.bound):
                continue  # a bucket that is empty is part of its histogram, and told once
            base, part = _split(sample.metric)
            labels = self._labels(proxy, own, base, sample.tags, facts)
            if self._add(base, labels, part or sample.bound, amount) and amount and not part:
                grown.append(Growth(base, labels, amount, sample.bound))
        return grown

    def forget(self, names: Iterable[str]) -> None:
        """Proxies that have gone; what they counted stays."""
        for name in names:
            self._proxies.pop(name, None)

    def _labels(self, proxy: _Proxy, own: PodFacts, metric: str, tags: Tags, facts: MeshFacts) -> Labels:
        key = (metric, tags)
        found = proxy.labels.get(key)
        if found is None:
            found = proxy.labels[key] = istio_labels(own, metric, tags, facts)
        return found

    def _add(self, metric: str, labels: Labels, part: str, amount: float) -> bool:
        known = self.series.setdefault(metric, {})
        series = known.get(labels)
        if series is None:
            if self._count >= self._most:
                self.dropped += 1
                return False
            self._count += 1
            series = known[labels] = Series()
        series.values[part] = series.values.get(part, 0.0) + amount
        return True


PARTS: Mapping[str, str] = {"_bucket": "", "_sum": "sum", "_count": "count"}


def _split(metric: str) -> tuple[str, str]:
    """A histogram's metric and part (its buckets are told apart by their bounds); other metrics are themselves."""
    for ending, part in PARTS.items():
        if metric.endswith(ending) and not metric.endswith("_total"):
            return metric.removesuffix(ending), part
    return metric, ""
