"""Events and changes become rows, inside of the writer's transaction."""

from collections.abc import Sequence

from meshwright.store import jsontext
from meshwright.store.history import Change
from meshwright.store.names import EpochMilliseconds, Revision
from meshwright.store.sqlite_records import SqliteRecords, columns
from meshwright.store.version import Event, EventType, Version


class SqliteLedger(SqliteRecords):
    """What was written can be read at once, by this connection only; others see it after the commit."""

    def append(self, events: Sequence[Event], change: Change | None) -> None:
        for event in events:
            self._append(event)
        self._connection.execute("UPDATE counters SET revision = ?", (events[-1].version.revision,))
        if change is not None:
            self._append_change(change)

    def _append(self, event: Event) -> None:
        version, before = event.version, event.before
        revision = version.revision
        gone = revision if event.type is EventType.DELETED else None
        self._put_parts(version, before, gone)
        if before is not None:
            self._connection.execute(
                "UPDATE versions SET replaced = ? WHERE revision = ?", (revision, before.revision)
            )
        self._connection.execute(
            "INSERT INTO versions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                revision,
                str(event.type),
                *columns(version.key),
                version.uid,
                version.body.revision,
                version.status.revision if version.status else None,
                before.revision if before else None,
                gone,
                event.time,
                event.change,
            ),
        )

    def _put_parts(self, version: Version, before: Version | None, gone: Revision | None) -> None:
        """Body and status where they are new; the old ones end. Those of a deleted object end with it."""
        write = self._connection.execute
        revision, body, status = version.revision, version.body, version.status
        if before is None or before.body.revision != body.revision:
            labels = jsontext.encode(body.labels).decode()
            write("INSERT INTO bodies VALUES (?,?,?,?)", (body.revision, labels, body.text.decode(), gone))
            if before is not None:
                write("UPDATE bodies SET replaced = ? WHERE revision = ?", (revision, before.body.revision))
        elif gone is not None:
            write("UPDATE bodies SET replaced = ? WHERE revision = ?", (gone, body.revision))
        old = before.status if before else None
        if status is not None and (old is None or old.revision != status.revision):
            owners = jsontext.encode(status.owners).decode()
            write("INSERT INTO statuses VALUES (?,?,?,?)", (status.revision, status.text.decode(), owners, gone))
        if old is not None and (gone is not None or status is None or old.revision != status.revision):
            write("UPDATE statuses SET replaced = ? WHERE revision = ?", (revision, old.revision))

    def _append_change(self, change: Change) -> None:
        self._connection.execute(
            "INSERT INTO changes VALUES (?,?,?,?,?)",
            (change.number, change.revision, change.time, change.author, change.message),
        )
        self._connection.executemany(
            "INSERT INTO differences VALUES (?,?,?,?,?,?,?,?)",
            [
                (
                    change.number,
                    position,
                    *columns(item.key),
                    item.before.revision if item.before else None,
                    item.after.revision if item.after else None,
                )
                for position, item in enumerate(change.differences)
            ],
        )
        self._connection.execute("UPDATE counters SET change = ?", (change.number,))

    def first_after(self, time: EpochMilliseconds) -> Revision | None:
        rows = self._rows(
            "SELECT revision FROM versions WHERE revision > (SELECT compacted FROM counters) AND time > ? "
            "ORDER BY revision LIMIT 1",
            (time,),
        )
        return Revision(rows[0][0]) if rows else None

    def compact(self, to: Revision) -> None:
        write = self._connection.execute
        write("UPDATE counters SET compacted = max(compacted, ?)", (to,))
        write("DELETE FROM versions WHERE replaced <= ?", (to,))
        write("DELETE FROM statuses WHERE replaced <= ?", (to,))
        self._drop_bodies()

    def forget_changes(self, count: int, before: EpochMilliseconds) -> None:
        rows = self._rows("SELECT number FROM changes WHERE time >= ? ORDER BY number LIMIT 1", (before,))
        newest = self.head().change
        # numbers are kept without a gap, also where the clock was set back
        first = max(newest - count + 1, rows[0][0] if rows else newest + 1)
        self._connection.execute("DELETE FROM changes WHERE number < ?", (first,))
        self._connection.execute("DELETE FROM differences WHERE number < ?", (first,))
        self._drop_bodies()

    def _drop_bodies(self) -> None:
        """Those that neither a version nor the history has."""
        self._connection.execute(
            "DELETE FROM bodies WHERE replaced <= (SELECT compacted FROM counters) "
            "AND NOT EXISTS (SELECT 1 FROM differences WHERE before = bodies.revision) "
            "AND NOT EXISTS (SELECT 1 FROM differences WHERE after = bodies.revision)"
        )
