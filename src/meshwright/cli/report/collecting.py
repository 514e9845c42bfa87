"""The parts of a report, each a function that puts files into it and notes what it found or could not get."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshwright.cli.report import logs, machine, proxies, stored, telling
from meshwright.cli.report.draft import Draft


@dataclass(frozen=True, slots=True)
class Part:
    """`collect` returns what it did in a few words; `about` says the same of it before."""

    name: str
    about: str
    collect: Callable[[Draft], str]


PARTS: Sequence[Part] = (
    Part("machine", "versions, the checks of `doctor`, system, memory, disk", machine.collect),
    Part("status", "`status`, processes, settings of the mesh", telling.status),
    Part(
        "objects", "every object with its status (of Secrets the names alone), and the last changes", stored.collect
    ),
    Part("analysis", "`analyze`, `history`, `proxy-status`", telling.analysis),
    Part("proxies", "of each Envoy: configuration, clusters, counters, certificates without keys", proxies.collect),
    Part("traffic", "the last requests, the last that failed, /metrics", telling.traffic),
    Part("logs", "the last lines of our processes and of the Envoys", logs.collect),
)
