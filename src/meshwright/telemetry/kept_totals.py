"""What totals need to go on after a restart of the worker, in SQLite: sums, and what each proxy said last.

Both are written in one transaction, so that nothing is counted twice: what a living proxy counted since then is the
difference to what it says next. A worker that is killed loses what pods counted since the last flush that have ended
before the next worker looks.
"""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from meshwright.telemetry.database import opened
from meshwright.telemetry.exposition import Tags
from meshwright.telemetry.labels import Labels
from meshwright.telemetry.totals import Changes, Flow, Proxy, Totals

KEPT_SECONDS = 24 * 60 * 60
"""A series that did not grow for so long is not taken over: to Prometheus it ends."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
  metric TEXT NOT NULL, labels TEXT NOT NULL, grown INTEGER NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proxies (name TEXT PRIMARY KEY, epoch TEXT NOT NULL, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (
  proxy TEXT NOT NULL, metric TEXT NOT NULL, tags TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (proxy, metric, tags)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flows (
  proxy TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (proxy, id)
) WITHOUT ROWID;
"""


class KeptTotals:
    """The totals of the worker before, and `flush` now and then."""

    def __init__(self, file: Path, totals: Totals, clock: Callable[[], float] = time.time) -> None:
        """Opens or makes the file, and gives `totals` what is in it. `clock`: seconds since 1970."""
        self._database = opened(file, _SCHEMA)
        self.totals = totals
        self._clock = clock
        self._restore()

    def close(self) -> None:
        """With everything written."""
        self.flush()
        self._database.close()

    def flush(self) -> None:
        """Write what changed since the last time."""
        changes, self.totals.changes = self.totals.changes, Changes()
        with self._database as database:
            for table in ("proxies", "said", "flows"):
                column = "name" if table == "proxies" else "proxy"
                gone = [(name,) for name in changes.emptied]
                database.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)  # noqa: S608 - names of ours
            database.executemany("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)", self._series(changes))
            self._write_proxies(changes)
            database.execute("DELETE FROM series WHERE grown < ?", (self._oldest(),))

    def _oldest(self) -> int:
        return int(self._clock()) - KEPT_SECONDS

    def _series(self, changes: Changes) -> Iterable[tuple[Any, ...]]:
        now = int(self._clock())
        for metric, labels in changes.series:
            value = self.totals.series[metric][labels].values
            yield metric, json.dumps(labels), now, json.dumps(value)

    def _write_proxies(self, changes: Changes) -> None:
        proxies, database = self.totals.proxies, self._database
        for name in changes.proxies | changes.emptied:
            if name in proxies:
                row = (name, proxies[name].epoch, proxies[name].read_up_to)
                database.execute("INSERT OR REPLACE INTO proxies VALUES (?, ?, ?)", row)
        for name, (metric, tags) in changes.raws:
            said = proxies[name].last.get((metric, tags)) if name in proxies else None
            if said is not None:
                row = (name, metric, json.dumps(tags), json.dumps(said))
                database.execute("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", row)
        for name, flow in changes.flows:
            open_one = proxies[name].flows.get(flow) if name in proxies else None
            if open_one is None:
                database.execute("DELETE FROM flows WHERE proxy = ? AND id = ?", (name, flow))
            else:
                row = (name, flow, json.dumps(open_one.amounts))
                database.execute("INSERT OR REPLACE INTO flows VALUES (?, ?, ?)", row)

    def _restore(self) -> None:
        totals, database = self.totals, self._database
        rows = database.execute("SELECT metric, labels, value FROM series WHERE grown >= ?", (self._oldest(),))
        for metric, labels, value in rows:
            for part, amount in json.loads(value).items():
                totals.add(metric, _pairs(labels), part, amount)
        for name, epoch, place in database.execute("SELECT name, epoch, place FROM proxies"):
            totals.proxies[name] = Proxy(epoch, place)
        for name, metric, tags, value in database.execute("SELECT proxy, metric, tags, value FROM said"):
            totals.proxies.setdefault(name, Proxy()).last[metric, _pairs(tags)] = json.loads(value)
        for name, flow, value in database.execute("SELECT proxy, id, value FROM flows"):
            totals.proxies.setdefault(name, Proxy()).flows[flow] = Flow(json.loads(value), 0)
        totals.changes = Changes()


def _pairs(text: str) -> Labels | Tags:
    return tuple((name, value) for name, value in json.loads(text))
