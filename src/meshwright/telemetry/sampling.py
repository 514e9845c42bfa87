"""How many of its requests a proxy writes down, and of how many it counts the sizes: all while they are few, a share
of many.

A line for each request costs more than counting it, and so do two more histograms. So each proxy is told, by values
of its runtime, which share to take. What failed is always written; each request is counted with its duration.

A proxy keeps what it was told for as long as its process lives, also when the worker does not: so one that this
worker has not told anything is told at the first look, whatever its shares come to.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from meshwright.telemetry.scraping import scrape

RECORDS, SIZES = "meshwright.records", "meshwright.sizes"
"""In parts of WHOLE; the compiler's filters have the same."""
WHOLE = 10_000
EXACT: Mapping[str, int] = {RECORDS: 20, SIZES: 200}
"""Up to so many requests a second a proxy takes all."""
PER_SECOND: Mapping[str, int] = {RECORDS: 20, SIZES: 50}
"""It takes so many of more: enough to look at, and enough for a mean. A line costs a proxy some 7 microseconds, the
sizes 3, and three times as much where its caches are cold (one request at a time).
"""
RISE = 2.0  # at most so many times as much as before: a pause between two bursts is no reason to write everything
CHANGE = 0.25  # a share that would differ by less stays


class Sampling:
    """What each proxy was told last, with the process that was told."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, dict[str, float]]] = {}

    def share(self, proxy: str, key: str = RECORDS) -> float:
        """The share of its requests that this proxy takes now; all while it was told nothing."""
        return self._told[proxy][1][key] if proxy in self._told else 1.0

    async def adapt(self, proxy: str, process: str, admin_socket: Path, rate: float) -> None:
        """Tell a proxy that had so many requests a second what to take from now on; `process` is another one for
        each process of it. Raises ScrapeError.
        """
        if proxy in self._told and self._told[proxy][0] != process:
            del self._told[proxy]  # a new Envoy takes everything
        shares = {key: self._wanted(proxy, key, rate) for key in PER_SECOND}
        known = self._told[proxy][1] if proxy in self._told else {}
        changed = {key: share for key, share in shares.items() if share != known.get(key)}
        if not changed:
            return
        told = "&".join(f"{key}={max(1, round(share * WHOLE))}" for key, share in changed.items())
        await scrape(admin_socket, f"/runtime_modify?{told}", "POST")
        self._told[proxy] = (process, shares)

    def _wanted(self, proxy: str, key: str, rate: float) -> float:
        current = self.share(proxy, key)
        fitting = 1.0 if rate <= EXACT[key] else PER_SECOND[key] / rate
        wanted = min(fitting, current * RISE)
        return current if wanted < 1.0 and abs(wanted - current) < CHANGE * current else wanted

    def forget(self, staying: Collection[str]) -> None:
        """Keep those that are still here."""
        self._told = {proxy: told for proxy, told in self._told.items() if proxy in staying}
