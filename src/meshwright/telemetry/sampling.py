"""How many of its requests a proxy writes down, and of how many it counts the sizes: all while they are few, a share
of many.

A line for each request costs more than counting it, and so do two more histograms. So each proxy is told, by values
of its runtime, which share to take. What failed is always written; each request is counted with its duration.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from meshwright.telemetry.scraping import scrape

RECORDS, SIZES = "meshwright.records", "meshwright.sizes"
"""In parts of WHOLE; the compiler's filters have the same."""
WHOLE = 10_000
PER_SECOND: Mapping[str, int] = {RECORDS: 20, SIZES: 200}
"""Enough to look at, and enough for a mean: a line costs a proxy some 7 microseconds, the sizes 3."""
RISE = 2.0  # at most so many times as much as before: a pause between two bursts is no reason to write everything
CHANGE = 0.25  # a share that would differ by less stays


class Sampling:
    """What each proxy was told last."""

    def __init__(self) -> None:
        self._shares: dict[str, dict[str, float]] = {}

    def share(self, proxy: str, key: str = RECORDS) -> float:
        """The share of its requests that this proxy takes now."""
        return self._shares.get(proxy, {}).get(key, 1.0)

    async def adapt(self, proxy: str, admin_socket: Path, rate: float) -> None:
        """Tell a proxy that had so many requests a second what to take from now on. Raises ScrapeError."""
        shares = {key: self._wanted(proxy, key, rate) for key in PER_SECOND}
        changed = {key: share for key, share in shares.items() if share != self.share(proxy, key)}
        if not changed:
            return
        told = "&".join(f"{key}={max(1, round(share * WHOLE))}" for key, share in changed.items())
        await scrape(admin_socket, f"/runtime_modify?{told}", "POST")
        self._shares[proxy] = shares

    def _wanted(self, proxy: str, key: str, rate: float) -> float:
        current = self.share(proxy, key)
        wanted = min(1.0, PER_SECOND[key] / max(rate, 1.0), current * RISE)
        return current if wanted < 1.0 and abs(wanted - current) < CHANGE * current else wanted

    def forget(self, staying: Collection[str]) -> None:
        """Keep those that are still here."""
        self._shares = {proxy: share for proxy, share in self._shares.items() if proxy in staying}
