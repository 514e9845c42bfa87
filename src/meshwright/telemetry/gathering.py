"""Asks every proxy of a machine what it has counted, again and again, a few at a time."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshwright.telemetry.exposition import REQUESTS, samples
from meshwright.telemetry.facts import MeshFacts, PodFacts
from meshwright.telemetry.graph import TrafficWindow, by_edge
from meshwright.telemetry.history import FLUSH_SECONDS, History
from meshwright.telemetry.kept_totals import KeptTotals
from meshwright.telemetry.records import RequestRing, record_of
from meshwright.telemetry.sampling import Sampling
from meshwright.telemetry.scraping import COUNTERS, EVERYTHING, ScrapeError, scrape
from meshwright.telemetry.tailing import CUT_AT, Tail
from meshwright.telemetry.totals import Growth

LOG = logging.getLogger(__name__)
INTERVAL_SECONDS = 2.0
"""Between two looks at the counters: what a proxy that is killed may take with it."""
GUARD_SECONDS = 0.25
"""How often files are looked at that may grow beyond their bound."""
HISTOGRAMS_EVERY = 5  # looks
AT_ONCE = 4
PREFIX = "istio_"
FORGET_SECONDS = 600.0
"""After so long without a proxy a pod is gone for good."""


@dataclass(frozen=True, slots=True)
class Place:
    """One Envoy: its admin socket, the file with a line for each request, and that with lines of open connections."""

    admin_socket: Path
    records: Path
    flows: Path

    def epoch(self) -> str:
        """Another one for each process; "" while there is none. An Envoy that starts makes its socket anew."""
        try:
            status = self.admin_socket.lstat()
        except OSError:
            return ""
        return f"{status.st_ino} {status.st_mtime_ns}"


class Gathering:
    """`round` looks once; `run` for ever. `facts` and `sockets` are asked anew each time."""

    def __init__(
        self,
        kept: KeptTotals,
        window: TrafficWindow,
        facts: Callable[[], MeshFacts],
        places: Callable[[], Mapping[str, Place]],
        ring: RequestRing,
        history: History,
    ) -> None:
        """`places`: where each pod's Envoy is, by <pod>.<namespace>."""
        self._history = history
        self._kept = kept
        self.rounds = 0
        self._totals = kept.totals
        self._window = window
        self._facts = facts
        self._places = places
        self._earlier = set(self._totals.proxies)
        self._absent: dict[str, float] = {}
        self._flows: dict[str, Tail] = {}
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
                self._kept.flush()
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
            looks = [tasks.create_task(self._look(gate, pod, place, target, facts)) for pod, place in wanted]
        self._note(wanted, [look.result() for look in looks], facts, now)
        for (pod, place), look in zip(wanted, looks, strict=True):
            self._read(pod, place, facts)
            if look.result() is not None:
                self._read_flows(pod, place, facts)
            await asyncio.sleep(0)
        self._forget(places.keys(), now)
        self._tails = {name: tail for name, tail in self._tails.items() if name in places}
        self._flows = {name: tail for name, tail in self._flows.items() if name in places}
        self._sampling.forget(places.keys())
        self.rounds += 1

    def _note(
        self,
        wanted: Sequence[tuple[PodFacts, Place]],
        looks: Sequence[Iterable[Growth] | None],
        facts: MeshFacts,
        now: float,
    ) -> None:
        """What has grown goes to the live window and the history; of what a worker before knew, at the first look to
        the history alone: it is of no known length of time.
        """
        answered = {pod.name: look for (pod, _), look in zip(wanted, looks, strict=True) if look is not None}
        late = answered.keys() & self._earlier
        self._earlier -= late
        missed = (growth for name in late for growth in answered[name])
        fresh = (growth for name, look in answered.items() if name not in late for growth in look)
        self._history.count(time.time(), by_edge(missed, facts))
        self._history.count(time.time(), self._window.take(fresh, facts, now))

    def _read(self, pod: PodFacts, place: Place, facts: MeshFacts) -> None:
        """The last requests of one proxy."""
        tail = self._tails.setdefault(pod.name, Tail(place.records))
        for said in tail.read():
            found = record_of(pod, said, facts)
            if found is not None:
                self._ring.add(*found)
                self._history.keep(*found)

    def _read_flows(self, pod: PodFacts, place: Place, facts: MeshFacts) -> None:
        """What its connections have moved since the last look."""
        proxy = self._totals.proxies[pod.name]
        tail = self._flows.get(pod.name)
        if tail is None:
            tail = self._flows[pod.name] = Tail(place.flows, CUT_AT, proxy.read_up_to)
        self._totals.lasting(pod, tail.read(), facts)
        if tail.place != proxy.read_up_to:
            proxy.read_up_to = tail.place
            self._totals.changes.proxies.add(pod.name)

    def _forget(self, here: Collection[str], now: float) -> None:
        """Not at once: what counts as gone for a moment comes back with the counts it had."""
        self._absent = {name: self._absent.get(name, now) for name in self._totals.proxies if name not in here}
        self._totals.forget(name for name, since in self._absent.items() if now - since > FORGET_SECONDS)

    async def _look(
        self, gate: asyncio.Semaphore, pod: PodFacts, place: Place, target: str, facts: MeshFacts
    ) -> Iterable[Growth] | None:
        """What has grown; None when the proxy does not answer, or another one began meanwhile."""
        async with gate:
            epoch, path = place.epoch(), place.admin_socket
            try:
                text = await scrape(path, target)
            except ScrapeError as error:
                LOG.debug("%s does not say what it counted: %s", pod.name, error)
                return None
            if not epoch or epoch != place.epoch():
                return None
            self._totals.begin(pod.name, epoch)
            grown = self._totals.take(pod, samples(text, PREFIX, histograms=target == EVERYTHING), facts)
            with contextlib.suppress(ScrapeError):
                requests = sum(growth.amount for growth in grown if growth.metric == REQUESTS)
                await self._sampling.adapt(pod.name, epoch, path, requests / INTERVAL_SECONDS)
            return grown
