"""How many of its requests a proxy writes down: all of them while they are few, a share of many.

A line for each request costs more than counting it. So each proxy is told, by a value of its runtime, which share to
write; what failed is always written.
"""

from collections.abc import Collection
from pathlib import Path

from meshwright.telemetry.scraping import scrape

KEY = "meshwright.records"
"""In parts of WHOLE; the compiler's filter has the same."""
WHOLE = 10_000
PER_SECOND = 20
"""Enough to look at; a line costs a proxy some 7 microseconds, twice as much as counting the request."""
RISE = 2.0  # at most so many times as much as before: a pause between two bursts is no reason to write everything
CHANGE = 0.25  # a share that would differ by less stays


class Sampling:
    """What each proxy was told last."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def share(self, proxy: str) -> float:
        """The share of its requests that this proxy writes down now."""
        return self._shares.get(proxy, 1.0)

    async def adapt(self, proxy: str, admin_socket: Path, rate: float) -> None:
        """Tell a proxy that had so many requests a second what to write from now on. Raises ScrapeError."""
        current = self.share(proxy)
        wanted = min(1.0, PER_SECOND / max(rate, 1.0), current * RISE)
        if wanted == current or (wanted < 1.0 and abs(wanted - current) < CHANGE * current):
            return
        parts = max(1, round(wanted * WHOLE))
        await scrape(admin_socket, f"/runtime_modify?{KEY}={parts}", "POST")
        self._shares[proxy] = wanted

    def forget(self, staying: Collection[str]) -> None:
        """Keep those that are still here."""
        self._shares = {proxy: share for proxy, share in self._shares.items() if proxy in staying}
