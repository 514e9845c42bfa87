"""How many of its requests a proxy writes down, and of how many it counts the sizes: all while they are few, a share
of many.

A line for each request costs more than counting it, and so do two more histograms. So each proxy is told, by values
of its runtime, which share to take. What failed is always written; each request is counted with its duration.

The busiest of its last seconds counts, so that a pause between two bursts is no reason to write everything, and
whoever tries one request when a load has ended finds its line.

A proxy keeps what it was told for as long as its process lives, also when the worker does not: so one that this
worker has not told anything is told at the first look, whatever its shares come to.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshwright.telemetry.scraping import scrape

RECORDS, SIZES = "meshwright.records", "meshwright.sizes"
"""In parts of WHOLE; the compiler's filters have the same."""
WHOLE = 10_000
EXACT: Mapping[str, int] = {RECORDS: 20, SIZES: 50}
"""Up to so many requests a second a proxy takes all."""
PER_SECOND: Mapping[str, int] = {RECORDS: 10, SIZES: 20}
"""It takes so many of more: enough to look at, and enough for a mean. A line costs a proxy some 7 microseconds, the
sizes 3, and three times as much where its caches are cold (one request at a time).
"""
LOOKS = 5  # so many of the last rates count, of which there is one every `gathering.INTERVAL_SECONDS`
CHANGE = 0.25  # a share that would differ by less stays


@dataclass(slots=True)
class _Told:
    """What one process of a proxy was told last, and its requests a second at the last looks."""

    process: str
    shares: dict[str, float] = field(default_factory=dict[str, float])
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKS))

    def wanted(self, key: str) -> float:
        """The share that it should take now."""
        rate = max(self.rates)
        fitting = 1.0 if rate <= EXACT[key] else PER_SECOND[key] / rate
        current = self.shares.get(key, 1.0)
        return current if fitting < 1.0 and abs(fitting - current) < CHANGE * current else fitting


class Sampling:
    """What each proxy was told last, with the process that was told."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def share(self, proxy: str, key: str = RECORDS) -> float:
        """The share of its requests that this proxy takes now; all while it was told nothing."""
        return self._told[proxy].shares.get(key, 1.0) if proxy in self._told else 1.0

    async def adapt(self, proxy: str, process: str, admin_socket: Path, rate: float) -> None:
        """Tell a proxy that had so many requests a second since the last look what to take from now on; `process` is
        another one for each process of it. Raises ScrapeError.
        """
        known = self._told.get(proxy)
        if known is None or known.process != process:  # a new Envoy takes everything
            known = self._told[proxy] = _Told(process)
        known.rates.append(rate)
        shares = {key: known.wanted(key) for key in PER_SECOND}
        changed = {key: share for key, share in shares.items() if share != known.shares.get(key)}
        if not changed:
            return
        told = "&".join(f"{key}={max(1, round(share * WHOLE))}" for key, share in changed.items())
        await scrape(admin_socket, f"/runtime_modify?{told}", "POST")
        known.shares = shares

    def forget(self, staying: Collection[str]) -> None:
        """Keep those that are still here."""
        self._told = {proxy: told for proxy, told in self._told.items() if proxy in staying}
