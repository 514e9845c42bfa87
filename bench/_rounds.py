"""Interleaved rounds: two sides take turns within one run, so that a slow minute of a shared machine hits both."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench._load import Load, Target, load
from bench._sandbox import Side

TICK = os.sysconf("SC_CLK_TCK")
MICROSECONDS = 1e6
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of load. `http2`: what is spoken between the proxies. `url`: what is asked for instead of the server
    application's page.
    """

    name: str
    http2: bool
    connections: int
    seconds: float
    rounds: int
    url: str = ""

    def target(self, side: Side) -> Target:
        """What this load asks of one side."""
        target = side.target(http2=self.http2)
        return replace(target, url=self.url) if self.url else target


@dataclass(frozen=True, slots=True)
class Round:
    """A load and the CPU time per request of each proxy in microseconds (empty without proxies)."""

    load: Load
    cpu: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds of one shape by one side."""

    rounds: list[Round] = field(default_factory=list[Round])

    def values(self, what: str) -> list[float]:
        """Per round: `rate`, `p50`, `p99`, or `cpu` (all proxies together)."""
        if what == "cpu":
            return [sum(each.cpu) for each in self.rounds]
        return [float(getattr(each.load, what)) for each in self.rounds]

    def median(self, what: str) -> float:
        return statistics.median(self.values(what))

    @property
    def failed(self) -> int:
        return sum(each.load.failed for each in self.rounds)

    @property
    def requests(self) -> int:
        return sum(each.load.requests for each in self.rounds)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the rival's: median and quartiles of the ratios of neighbouring rounds. What slows the machine down
    for longer than a round hits both of a pair and cancels out.
    """

    median: float
    low: float
    high: float


async def take_turns(sides: Sequence[Side], shape: Shape) -> list[Measured]:
    """Every side runs `shape.rounds` rounds; the order turns round each time, so that none is always the first."""
    measured = [Measured() for _ in sides]
    for side in sides:
        await load(shape.target(side), shape.connections, 1)  # connections of the proxies, caches
    for number in range(shape.rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for index in order:
            measured[index].rounds.append(await _round(sides[index], shape))
    return measured


async def _round(side: Side, shape: Shape) -> Round:
    before = [cpu_seconds(pid) for pid in side.proxies]
    result = await load(shape.target(side), shape.connections, shape.seconds)
    spent = [cpu_seconds(pid) - start for pid, start in zip(side.proxies, before, strict=True)]
    return Round(result, tuple(one * MICROSECONDS / max(1, result.requests) for one in spent))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def ratio(ours: Measured, theirs: Measured, what: str) -> Ratio:
    """Round by round."""
    return ratio_of(ours.values(what), theirs.values(what))


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Pair by pair."""
    pairs = [one / max(other, TINY) for one, other in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return Ratio(middle, low, high)


async def answers(side: Side, *, http2: bool, seconds: float = 30) -> None:
    """Wait until the side serves without a failure. RuntimeError when it does not within `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    why = ""
    while asyncio.get_running_loop().time() < end:
        try:
            found = await load(side.target(http2=http2), 1, 1)
        except RuntimeError as error:
            why = str(error)
        else:
            if found.requests and not found.failed:
                return
            why = f"{found.failed} of {found.requests} requests failed"
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{side.name} does not serve: {why}")
