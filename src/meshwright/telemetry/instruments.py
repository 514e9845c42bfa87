"""Counters, gauges and histograms of a process of ours, and their text for Prometheus."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Values = tuple[str, ...]


@dataclass(slots=True)
class Counter:
    """Goes up only. `labels` are the names of what tells its series apart, in the order of `add`'s values."""

    name: str
    help: str
    labels: Values = ()
    series: dict[Values, float] = field(default_factory=dict[Values, float])
    kind: str = "counter"

    def add(self, *values: str, amount: float = 1) -> None:
        """One more of this series."""
        self.series[values] = self.series.get(values, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """The exposition; one without labels is there from the beginning."""
        yield f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.kind}\n"
        for values, value in sorted((self.series or ({} if self.labels else {(): 0.0})).items()):
            yield f"{self.name}{written(self.labels, values)} {value:.12g}\n"


@dataclass(slots=True)
class Gauge(Counter):
    """Goes up and down."""

    kind: str = "gauge"

    def set(self, value: float, *values: str) -> None:
        """What it is now."""
        self.series[values] = value


@dataclass(slots=True)
class Histogram:
    """How often which values came, by `bounds`, the upper ends of its buckets."""

    name: str
    help: str
    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list[int])
    total: float = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self) -> Iterator[str]:
        """The exposition."""
        yield f"# HELP {self.name} {self.help}\n# TYPE {self.name} histogram\n"
        below = 0
        for bound, count in zip(
            (*map(str, self.bounds), "+Inf"), self.counts or [0] * (len(self.bounds) + 1), strict=True
        ):
            below += count
            yield f'{self.name}_bucket{{le="{bound}"}} {below}\n'
        yield f"{self.name}_sum {self.total:.12g}\n{self.name}_count {below}\n"


def written(names: Values, values: Values) -> str:
    """Labels in braces; nothing when there are none."""
    pairs = ",".join(f'{name}="{escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def escaped(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
