"""Questions to the database: rows become versions, events and changes."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from meshwright.store import jsontext
from meshwright.store.engine import Head, Place
from meshwright.store.history import Change, Difference
from meshwright.store.names import Author, ChangeNumber, EpochMilliseconds, Key, Resource, Revision, Uid
from meshwright.store.version import Body, Event, EventType, Status, Version

Row = tuple[Any, ...]

_OBJECT = "{v}.revision, {v}.uid, {b}.revision, CAST({b}.text AS BLOB), {b}.labels"
_STATUS = "{s}.revision, CAST({s}.text AS BLOB), {s}.owners"
_KEY = "v.api_group, v.plural, v.namespace, v.name"
_VERSION = f"{_KEY}, {_OBJECT}, {_STATUS}".format(v="v", b="b", s="s")
_PREVIOUS = f"{_OBJECT}, {_STATUS}".format(v="p", b="pb", s="ps")
_FROM = "FROM versions v JOIN bodies b ON b.revision = v.body LEFT JOIN statuses s ON s.revision = v.status"
_FROM_PREVIOUS = (
    "LEFT JOIN versions p ON p.revision = v.previous LEFT JOIN bodies pb ON pb.revision = p.body "
    "LEFT JOIN statuses ps ON ps.revision = p.status"
)
_BEHIND = "(v.api_group, v.plural, v.namespace, v.name) > (?, ?, ?, ?)"
_FIND = (
    f"SELECT {_VERSION} {_FROM} WHERE v.api_group = ? AND v.plural = ? AND v.namespace = ? AND v.name = ? "
    "AND v.replaced IS NULL"
)
_DIFFERENCES = (
    "SELECT d.api_group, d.plural, d.namespace, d.name, b.revision, CAST(b.text AS BLOB), b.labels, "
    "a.revision, CAST(a.text AS BLOB), a.labels FROM differences d "
    "LEFT JOIN bodies b ON b.revision = d.before LEFT JOIN bodies a ON a.revision = d.after "
    "WHERE d.number = ? ORDER BY d.position"
)


@dataclass(frozen=True, slots=True)
class _Where:
    """Conditions of a question and their values."""

    conditions: tuple[str, ...]
    values: tuple[str | int, ...]

    def __add__(self, other: "_Where") -> "_Where":
        return _Where(self.conditions + other.conditions, self.values + other.values)

    def __str__(self) -> str:
        return " AND ".join(self.conditions) or "TRUE"


def _in_place(place: Place) -> _Where:
    conditions: list[str] = []
    values: list[str | int] = []
    if place.resource is not None:
        conditions += ["v.api_group = ?", "v.plural = ?"]
        values += [place.resource.group, place.resource.plural]
    if place.namespace is not None:
        conditions.append("v.namespace = ?")
        values.append(place.namespace)
    return _Where(tuple(conditions), tuple(values))


def columns(key: Key) -> tuple[str, str, str, str]:
    """A key as the tables have it."""
    return key.resource.group, key.resource.plural, key.namespace, key.name


class SqliteRecords:
    """Answers on one connection; the caller holds the transaction that makes them one state."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _rows(self, sql: str, values: Sequence[str | int | None] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def head(self) -> Head:
        revision, compacted, change, oldest = self._rows(
            "SELECT revision, compacted, change, (SELECT min(number) FROM changes) FROM counters"
        )[0]
        return Head(
            Revision(revision),
            Revision(compacted),
            ChangeNumber(change),
            ChangeNumber(oldest if oldest is not None else change + 1),
        )

    def find(self, key: Key) -> Version | None:
        rows = self._rows(_FIND, columns(key))
        return _version(rows[0]) if rows else None

    def _parts(self, place: Place, at: Revision, after: Key | None) -> list[_Where]:
        """Those who have not changed since `at`, and the others as they were; the second is empty for the newest."""
        within = _in_place(place)
        if after is not None:
            within += _Where((_BEHIND,), columns(after))
        parts = [_Where(("v.replaced IS NULL", "v.revision <= ?"), (at,)) + within]
        if at < self.head().revision:
            parts.append(_Where(("v.replaced > ?", "v.revision <= ?"), (at, at)) + within)
        return parts

    def scan(self, place: Place, at: Revision, after: Key | None, limit: int) -> Sequence[Version]:
        found: list[list[Version]] = []
        for part in self._parts(place, at, after):
            sql = f"SELECT {_VERSION} {_FROM} WHERE {part} ORDER BY {_KEY} LIMIT ?"
            found.append([_version(row) for row in self._rows(sql, (*part.values, limit))])
        if len(found) == 1:
            return found[0]
        return sorted(chain.from_iterable(found), key=lambda version: columns(version.key))[:limit]

    def count(self, place: Place, at: Revision, after: Key | None) -> int:
        return sum(
            self._rows(f"SELECT count(*) FROM versions v WHERE {part}", part.values)[0][0]  # noqa: S608
            for part in self._parts(place, at, after)
        )

    def log(self, place: Place, after: Revision, limit: int) -> Sequence[Event]:
        where = _Where(("v.revision > ?",), (after,)) + _in_place(place)
        sql = (
            f"SELECT {_VERSION}, v.type, v.time, v.change, {_PREVIOUS} {_FROM} {_FROM_PREVIOUS} "
            f"WHERE {where} ORDER BY v.revision LIMIT ?"
        )
        return [_event(row) for row in self._rows(sql, (*where.values, limit))]

    def changes(
        self, first: ChangeNumber, last: ChangeNumber, limit: int, key: Key | None = None
    ) -> Sequence[Change]:
        values: tuple[str | int, ...] = (first, last)
        only = ""
        if key is not None:
            only = (
                "AND number IN (SELECT number FROM differences "
                "WHERE api_group = ? AND plural = ? AND namespace = ? AND name = ?)"
            )
            values += columns(key)
        rows = self._rows(
            "SELECT number, revision, time, author, message FROM changes "  # noqa: S608 - our own words only
            f"WHERE number BETWEEN ? AND ? {only} ORDER BY number DESC LIMIT ?",
            (*values, limit),
        )
        return [self._change(row) for row in rows]

    def _change(self, row: Row) -> Change:
        number, revision, time, author, message = row
        differences = tuple(
            Difference(_key(item), _body(item[4:7]), _body(item[7:10]))
            for item in self._rows(_DIFFERENCES, (number,))
        )
        return Change(
            ChangeNumber(number), Revision(revision), EpochMilliseconds(time), Author(author), message, differences
        )


_resource = lru_cache(256)(Resource)


def _key(row: Row) -> Key:
    return Key(_resource(row[0], row[1]), row[2], row[3])


def _body(row: Row) -> Body | None:
    revision, text, labels = row
    return None if revision is None else Body(Revision(revision), text, jsontext.decode_map(labels))


def _state(key: Key, row: Row) -> Version | None:
    """The columns of _OBJECT and _STATUS."""
    body = _body(row[2:5])
    if body is None:
        return None
    revision, text, owners = row[5:8]
    status = None if revision is None else Status(Revision(revision), text, jsontext.decode_map(owners))
    return Version(key, Revision(row[0]), Uid(row[1]), body, status)


def _version(row: Row) -> Version:
    version = _state(_key(row), row[4:12])
    assert version is not None, "every version has a body"
    return version


def _event(row: Row) -> Event:
    version = _version(row)
    kind, time, change = row[12:15]
    before = _state(version.key, row[15:23])
    return Event(EventType(kind), version, before, EpochMilliseconds(time), change)
