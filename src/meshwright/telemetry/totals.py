"""Counters that only grow: what all proxies counted, by Istio's labels, whichever pods come and go.

A proxy that starts again begins at nothing; a pod that has gone takes none of its counts with it. What changed since
the last time is told to who keeps it (`kept_totals`): so a worker that starts again goes on where it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshwright.model import metric_tags
from meshwright.telemetry.exposition import DURATIONS, Sample, Tags
from meshwright.telemetry.facts import MeshFacts, PodFacts
from meshwright.telemetry.labels import Labels, istio_labels

MOST_SERIES = 20_000
"""Label sets; a sample of any further one is counted as `dropped` and otherwise forgotten."""
MOST_FLOWS = 20_000
"""Open connections of a proxy whose bytes are known; of further ones the oldest is forgotten."""
UNHEARD_LOOKS = 30
"""After so many looks at its proxy (a minute) without a line of it, a connection is gone: its last line was lost."""
MESSAGES_TOTAL = "istio_messages_total"
MESSAGES = ("istio_request_messages_total", "istio_response_messages_total")
BYTES = {metric_tags.RECEIVED: "istio_tcp_received_bytes_total", metric_tags.SENT: "istio_tcp_sent_bytes_total"}
END = "TcpConnectionEnd"
SIZES = ("istio_request_bytes", "istio_response_bytes")
COUNT = "_count"
Raw = tuple[str, Tags]
"""A metric as the proxy names it, and its tags."""


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
class Flow:
    """An open connection: its bytes as they were counted last, and at which look."""

    amounts: dict[str, int]
    look: int


@dataclass(slots=True)
class Proxy:
    """What one proxy said last, and what its tags were read as. `epoch` tells its process from the one before."""

    epoch: str = ""
    read_up_to: str = ""
    """Where in its file of flows the next look begins; whoever reads it knows what this says."""
    last: dict[Raw, dict[str, float]] = field(default_factory=dict[Raw, dict[str, float]])
    flows: dict[str, Flow] = field(default_factory=dict[str, Flow])
    looks: int = 0
    labels: dict[Raw, Labels] = field(default_factory=dict[Raw, Labels])
    read_with: MeshFacts | None = None


@dataclass(slots=True)
class Changes:
    """What is different since it was kept last."""

    series: set[tuple[str, Labels]] = field(default_factory=set[tuple[str, Labels]])
    raws: set[tuple[str, Raw]] = field(default_factory=set[tuple[str, Raw]])
    flows: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    proxies: set[str] = field(default_factory=set[str])
    emptied: set[str] = field(default_factory=set[str])
    """Proxies that have gone or begun anew: everything that is kept of them goes before the rest is written."""


class Totals:
    """Feed it with each proxy's samples and lines; read `series`."""

    def __init__(self, most: int = MOST_SERIES) -> None:
        self.series: dict[str, dict[Labels, Series]] = {}
        self.proxies: dict[str, Proxy] = {}
        self.changes = Changes()
        self.dropped = 0
        self._most = most
        self._count = 0

    def begin(self, name: str, epoch: str) -> Proxy:
        """The proxy that the next samples are of. One of another `epoch` is a new process, which counts from
        nothing; its open connections stay, for the lines of the one before may not all have been read.
        """
        proxy = self.proxies.setdefault(name, Proxy())
        if proxy.epoch != epoch:
            proxy.epoch, proxy.last = epoch, {}
            self.changes.emptied.add(name)
            self.changes.proxies.add(name)
            self.changes.flows.update((name, flow) for flow in proxy.flows)
        return proxy

    def take(self, own: PodFacts, said: Iterable[Sample], facts: MeshFacts) -> list[Growth]:
        """Add what a proxy counted since its last call; what the counters and buckets among it grew by."""
        proxy, said = self._proxy(own, facts), list(said)
        grown: list[Growth] = []
        shares = self._shares(own, proxy, said)
        for sample in said:
            raw = (sample.metric, sample.tags)
            known = proxy.last.setdefault(raw, {})
            before = known.get(sample.bound)
            amount = _growth(sample.value, before)
            if before != sample.value:
                known[sample.bound] = sample.value
                self.changes.raws.add((own.name, raw))
            if not amount and (before is not None or not sample.bound):
                continue  # a bucket that is empty is part of its histogram, and told once
            if sample.metric == MESSAGES_TOTAL:
                self._messages(proxy, own, sample.tags, amount, facts)
                continue
            base, part = _split(sample.metric)
            if (share := shares.get((base, sample.tags), 1.0)) != 1.0:
                amount = amount / share if part == "sum" else round(amount / share)
            labels = self._labels(proxy, own, (base, sample.tags), facts)
            if self.add(base, labels, part or sample.bound, amount) and amount and not part:
                grown.append(Growth(base, labels, amount, sample.bound))
        return grown

    def _shares(self, own: PodFacts, proxy: Proxy, said: Iterable[Sample]) -> dict[Raw, float]:
        """Of which share of the requests the sizes were counted since sizes of that kind came last. Each request's
        duration is counted, so sizes become those of all: as many, with the mean of those that were taken.
        """
        counts = {(each.metric, each.tags): each.value for each in said if each.metric.endswith(COUNT)}
        shares: dict[Raw, float] = {}
        for (metric, tags), taken in counts.items():
            base = metric.removesuffix(COUNT)
            if base not in SIZES:
                continue
            before = proxy.last.get((metric, tags), {}).get("")
            fresh, every = _growth(taken, before), counts.get((DURATIONS + COUNT, tags), taken)
            raw = (f"{base}_of", tags)
            known = proxy.last.setdefault(raw, {})
            if not fresh:
                continue  # what comes meanwhile has a share in what is taken next
            if before is None or "" in known:
                shares[base, tags] = fresh / max(fresh, _growth(every, known.get("")))
            known[""] = every
            self.changes.raws.add((own.name, raw))
        return shares

    def lasting(self, own: PodFacts, lines: Iterable[Mapping[str, Any]], facts: MeshFacts) -> None:
        """Add what a proxy's lines of open and ended connections, and of ended streams, say that is new. To be called
        at each look that the proxy answered, with no line too.
        """
        proxy = self._proxy(own, facts)
        proxy.looks += 1
        for line in lines:
            tags = tuple((name, str(line.get(name) or "")) for name in metric_tags.NAMES)
            if metric_tags.MESSAGES in line:
                pair = (metric_tags.MESSAGES, str(line[metric_tags.MESSAGES]))
                self._messages(proxy, own, (*tags, pair), 1, facts)
            else:
                self._bytes(proxy, own, tags, line, facts)
        for name in _unheard(proxy):
            del proxy.flows[name]
            self.changes.flows.add((own.name, name))

    def add(self, metric: str, labels: Labels, part: str, amount: float) -> bool:
        """False when there are too many series already."""
        known = self.series.setdefault(metric, {})
        series = known.get(labels)
        if series is None:
            if self._count >= self._most:
                self.dropped += 1
                return False
            self._count += 1
            series = known[labels] = Series()
        series.values[part] = series.values.get(part, 0.0) + amount
        self.changes.series.add((metric, labels))
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Proxies that have gone; what they counted stays."""
        for name in names:
            if self.proxies.pop(name, None) is not None:
                self.changes.emptied.add(name)

    def _proxy(self, own: PodFacts, facts: MeshFacts) -> Proxy:
        proxy = self.proxies.setdefault(own.name, Proxy())
        if proxy.read_with is not facts:
            proxy.labels, proxy.read_with = {}, facts
        return proxy

    def _labels(self, proxy: Proxy, own: PodFacts, raw: Raw, facts: MeshFacts) -> Labels:
        found = proxy.labels.get(raw)
        if found is None:
            found = proxy.labels[raw] = istio_labels(own, *raw, facts)
        return found

    def _messages(self, proxy: Proxy, own: PodFacts, tags: Tags, calls: float, facts: MeshFacts) -> None:
        """So many calls, each with the messages that the tag says: "<requests>,<responses>"."""
        counts = dict(tags).get(metric_tags.MESSAGES, "").split(",")
        for metric, count in zip(MESSAGES, counts, strict=False):
            if count.isdecimal() and int(count):
                self.add(metric, self._labels(proxy, own, (metric, tags), facts), "", calls * int(count))

    def _bytes(self, proxy: Proxy, own: PodFacts, tags: Tags, line: Mapping[str, Any], facts: MeshFacts) -> None:
        name = str(line.get("id") or "")
        before = proxy.flows.pop(name, Flow({}, 0))
        now = {key: _whole(line.get(key)) for key in BYTES}
        for key, metric in BYTES.items():
            amount = now[key] - before.amounts.get(key, 0)
            if amount > 0:
                self.add(metric, self._labels(proxy, own, (metric, tags), facts), "", amount)
        if line.get("moment") != END:
            proxy.flows[name] = Flow(now, proxy.looks)  # the last in order: it was heard of last
        self.changes.flows.add((own.name, name))


def _growth(now: float, before: float | None) -> float:
    """Of a number that only grows, or begins anew."""
    return now if before is None or now < before else now - before


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _unheard(proxy: Proxy) -> list[str]:
    """Connections without a word for long, and the oldest where there are too many."""
    old = [name for name, flow in proxy.flows.items() if proxy.looks - flow.look > UNHEARD_LOOKS]
    return old or list(proxy.flows)[: max(0, len(proxy.flows) - MOST_FLOWS)]


PARTS: Mapping[str, str] = {"_bucket": "", "_sum": "sum", "_count": "count"}


def _split(metric: str) -> tuple[str, str]:
    """A histogram's metric and part (its buckets are told apart by their bounds); other metrics are themselves."""
    for ending, part in PARTS.items():
        if metric.endswith(ending) and not metric.endswith("_total"):
            return metric.removesuffix(ending), part
    return metric, ""
