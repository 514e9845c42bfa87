"""Asks every proxy of a machine what it has counted, again and again, a few at a time."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from meshwright.telemetry.exposition import samples
from meshwright.telemetry.facts import MeshFacts, PodFacts
from meshwright.telemetry.graph import REQUESTS, TrafficWindow
from meshwright.telemetry.history import FLUSH_SECONDS, History
from meshwright.telemetry.records import RequestRing, record_of
from meshwright.telemetry.sampling import Sampling
from meshwright.telemetry.scraping import COUNTERS, EVERYTHING, ScrapeError, scrape
from meshwright.telemetry.tailing import Tail
from meshwright.telemetry.totals import Growth, Totals

LOG = logging.getLogger(__name__)
INTERVAL_SECONDS = 2.0
"""Between two looks at the counters: what a proxy that is killed may take with it."""
GUARD_SECONDS = 0.25
"""How often files are looked at that may grow beyond their bound."""
HISTOGRAMS_EVERY = 5  # looks
AT_ONCE = 4
PREFIX = "istio_"


@dataclass(frozen=True, slots=True)
class Place:
    """One Envoy: its admin socket, and the file with a line for each request."""

    admin_socket: Path
    records: Path


class Gathering:
    """`round` looks once; `run` for ever. `facts` and `sockets` are asked anew each time."""

    def __init__(
        self,
        totals: Totals,
        window: TrafficWindow,
        facts: Callable[[], MeshFacts],
        places: Callable[[], Mapping[str, Place]],
        ring: RequestRing,
        history: History,
    ) -> None:
        """`places`: where each pod's Envoy is, by <pod>.<namespace>."""
        self._history = history
        self.rounds = 0
        self._totals = totals
        self._window = window
        self._facts = facts
        self._places = places
        self._known: frozenset[str] = frozenset()
        self._ring = ring
        self._tails: dict[str, Tail] = {}
        self._sampling = Sampling()

    async def run(self, told: Callable[[], None]) -> None:
        """Look for ever; `told` is called after each look."""
        clock = asyncio.get_running_loop().time
        flush = clock() + FLUSH_SECONDS
        while True:
            began = clock()
            await self.round(clock(), everything=self.rounds % HISTOGRAMS_EVERY == 0)
            told()
            if clock() >= flush:
                self._history.flush()
                flush = clock() + FLUSH_SECONDS
            while (left := INTERVAL_SECONDS - (clock() - began)) > 0:
                await asyncio.sleep(min(left, GUARD_SECONDS))
                for tail in self._tails.values():
                    tail.keep_small()

    async def round(self, now: float, *, everything: bool) -> None:
        """One look at all proxies; `everything` with the histograms."""
        facts, places = self._facts(), self._places()
        gate = asyncio.Semaphore(AT_ONCE)
        target = EVERYTHING if everything else COUNTERS
        wanted = [(facts.pods[name], place) for name, place in places.items() if name in facts.pods]
        async with asyncio.TaskGroup() as tasks:
            looks = [
                tasks.create_task(self._look(gate, pod, place.admin_socket, target, facts)) for pod, place in wanted
            ]
        counted = self._window.take((growth for look in looks for growth in look.result()), facts, now)
        self._history.count(time.time(), counted)
        self._totals.forget(self._known - places.keys())
        self._known = frozenset(places)
        for pod, place in wanted:
            self._read(pod, place, facts)
            await asyncio.sleep(0)
        self._tails = {name: tail for name, tail in self._tails.items() if name in places}
        self._sampling.forget(places.keys())
        self.rounds += 1

    def _read(self, pod: PodFacts, place: Place, facts: MeshFacts) -> None:
        """The last requests of one proxy."""
        tail = self._tails.setdefault(pod.name, Tail(place.records))
        for said in tail.read():
            found = record_of(pod, said, facts)
            if found is not None:
                self._ring.add(*found)
                self._history.keep(*found)

    async def _look(
        self, gate: asyncio.Semaphore, pod: PodFacts, path: Path, target: str, facts: MeshFacts
    ) -> Iterable[Growth]:
        async with gate:
            try:
                text = await scrape(path, target)
            except ScrapeError as error:
                LOG.debug("%s does not say what it counted: %s", pod.name, error)
                return ()
            grown = self._totals.take(pod, samples(text, PREFIX), facts)
            with contextlib.suppress(ScrapeError):
                requests = sum(growth.amount for growth in grown if growth.metric == REQUESTS)
                await self._sampling.adapt(pod.name, path, requests / INTERVAL_SECONDS)
            return grown
