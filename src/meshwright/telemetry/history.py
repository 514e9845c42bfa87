"""What outlives the worker: a roll-up of each edge and minute, and the last requests, in SQLite.

Errors are kept apart from other requests, so that many good ones do not drive out the bad. All are bounded by number,
roll-ups also by age. Writes come in blocks, one transaction each `FLUSH_SECONDS`: that is what a worker
that is killed may lose (of the minute that is running, the part since then).
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from meshwright.telemetry.database import opened
from meshwright.telemetry.graph import EdgeCounts, EdgeKey, is_failure

FLUSH_SECONDS = 10.0
MINUTE = 60
MOST_MINUTES = 24 * 60
MOST_ROLL_UPS = 200_000
MOST_RECORDS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS minutes (
  minute INTEGER NOT NULL, edge TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (minute, edge)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT, edge TEXT NOT NULL, value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS errors (
  number INTEGER PRIMARY KEY AUTOINCREMENT, edge TEXT NOT NULL, value TEXT NOT NULL
);
CREATE VIEW IF NOT EXISTS records AS
  SELECT number, edge, value, 0 AS bad, CAST(json_extract(value, '$.time') AS REAL) AS time FROM requests
  UNION ALL
  SELECT number, edge, value, 1 AS bad, CAST(json_extract(value, '$.time') AS REAL) AS time FROM errors;
"""
_WRITES = {  # by whether it is an error: bring in, and trim
    False: (
        "INSERT INTO requests (edge, value) VALUES (?, ?)",
        "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
    ),
    True: (
        "INSERT INTO errors (edge, value) VALUES (?, ?)",
        "DELETE FROM errors WHERE number <= (SELECT max(number) FROM errors) - ?",
    ),
}


_FIND = """
SELECT value FROM records
WHERE (:request = '' OR substr(json_extract(value, '$.id'), 1, length(:request)) = :request) AND bad >= :failed
ORDER BY time DESC, number DESC LIMIT :most
"""


class History:
    """Add what comes, `flush` now and then, and read it after a restart."""

    def __init__(self, file: Path) -> None:
        """Opens or makes the file; one that cannot be read as a database is begun anew."""
        self._database = opened(file, _SCHEMA)
        self._minutes: dict[tuple[int, EdgeKey], EdgeCounts] = {}
        self._fresh: dict[bool, list[tuple[str, str]]] = {False: [], True: []}  # by whether they are errors

    def close(self) -> None:
        """With everything written."""
        self.flush()
        self._database.close()

    def count(self, time: float, edges: Mapping[EdgeKey, EdgeCounts]) -> None:
        """What was counted up to `time` (seconds since 1970)."""
        minute = int(time) // MINUTE
        for key, counts in edges.items():
            self._minutes.setdefault((minute, key), EdgeCounts()).include(counts)

    def keep(self, edge: str, record: Mapping[str, Any]) -> None:
        """One request. Of those that come between two flushes the last `MOST_RECORDS` and as many errors are kept."""
        fresh = self._fresh[is_failure(str(record.get("code") or ""))]
        if len(fresh) >= 2 * MOST_RECORDS:
            del fresh[:MOST_RECORDS]
        fresh.append((edge, json.dumps(record)))

    def flush(self) -> None:
        """Write what came since the last time, and take out what is too old or too much."""
        minutes, self._minutes = self._minutes, {}
        fresh, self._fresh = self._fresh, {False: [], True: []}
        if not minutes and not any(fresh.values()):
            return
        with self._database as database:
            for (minute, key), counts in minutes.items():
                before = database.execute(
                    "SELECT value FROM minutes WHERE minute = ? AND edge = ?", (minute, _edge_text(key))
                ).fetchone()
                if before is not None:
                    counts.include(_counts_of(before[0]))
                row = (minute, _edge_text(key), _counts_text(counts))
                database.execute("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?)", row)
            if minutes:
                _trim(database, max(minute for minute, _ in minutes))
            for bad, records in fresh.items():
                bring_in, trim = _WRITES[bad]
                database.executemany(bring_in, records[-MOST_RECORDS:])
                database.execute(trim, (MOST_RECORDS,))

    def edges(self, since: float, until: float) -> dict[EdgeKey, EdgeCounts]:
        """Sums of the minutes that lie between two times, as far as they are written."""
        found: dict[EdgeKey, EdgeCounts] = {}
        rows: Iterable[tuple[str, str]] = self._database.execute(
            "SELECT edge, value FROM minutes WHERE minute >= ? AND minute <= ?",
            (int(since) // MINUTE, int(until) // MINUTE),
        )
        for edge, value in rows:
            found.setdefault(_edge_of(edge), EdgeCounts()).include(_counts_of(value))
        return found

    def find(self, most: int, *, request: str = "", failed: bool = False) -> list[dict[str, Any]]:
        """The last records of all edges, the newest first: of the request whose id begins so, or only errors."""
        self.flush()
        rows = self._database.execute(_FIND, {"most": most, "request": request, "failed": failed})
        return [json.loads(value) for (value,) in rows]

    def requests(self) -> list[tuple[str, dict[str, Any]]]:
        """Edge and record of each request that is kept, the oldest first."""
        rows = self._database.execute("SELECT edge, value FROM records ORDER BY time, number")
        return [(edge, json.loads(value)) for edge, value in rows]


def _trim(database: sqlite3.Connection, newest: int) -> None:
    database.execute("DELETE FROM minutes WHERE minute <= ?", (newest - MOST_MINUTES,))
    [(count,)] = database.execute("SELECT count(*) FROM minutes")
    if count > MOST_ROLL_UPS:
        [(oldest,)] = database.execute("SELECT minute FROM minutes LIMIT 1 OFFSET ?", (count - MOST_ROLL_UPS,))
        database.execute("DELETE FROM minutes WHERE minute <= ?", (oldest,))


def _edge_text(key: EdgeKey) -> str:
    return json.dumps([key.source, key.destination, key.service, key.protocol])


def _edge_of(text: str) -> EdgeKey:
    source, destination, service, protocol = json.loads(text)
    return EdgeKey(tuple(source), tuple(destination), service, protocol)


def _counts_text(counts: EdgeCounts) -> str:
    durations = {repr(bound): amount for bound, amount in counts.durations.items()}
    return json.dumps([counts.count, counts.errors, counts.encrypted, counts.codes, durations])


def _counts_of(text: str) -> EdgeCounts:
    count, errors, encrypted, codes, durations = json.loads(text)
    return EdgeCounts(count, errors, encrypted, codes, {float(bound): amount for bound, amount in durations.items()})
