"""Changes: differences in what the mesh reads, numbered, with author and time; and how one is undone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.store import jsontext
from meshwright.store.merge import rebase
from meshwright.store.names import Author, ChangeNumber, EpochMilliseconds, Json, Key, Revision
from meshwright.store.version import Body, Version
from meshwright.store.writes import Create, Delete, Update, Write

# kept by machines, or no part of what an object asks for
UNREAD = ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp", "selfLink")

Meaning = Callable[[Key, Json], bytes | None]
"""What the mesh reads of an object, as comparable text. None: nothing of it; such objects make no changes."""


def whole_meaning(_key: Key, value: Json) -> bytes | None:
    """Everything but status and what machines keep in the metadata."""
    metadata: Json = value["metadata"]
    rest = {name: member for name, member in value.items() if name not in ("metadata", "status")}
    read = {name: member for name, member in metadata.items() if name not in UNREAD}
    return jsontext.encode({**rest, "metadata": read})


@dataclass(frozen=True, slots=True)
class Difference:
    """One object before and after; None where it was not there. The bodies are without status."""

    key: Key
    before: Body | None
    after: Body | None


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction that changed what the mesh reads. `revision` is its last: later snapshots contain it."""

    number: ChangeNumber
    revision: Revision
    time: EpochMilliseconds
    author: Author
    message: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Revert:
    """The writes that take changes back; `conflicts` names what cannot be, with the fields that changed since."""

    writes: tuple[Write, ...]
    conflicts: tuple[tuple[Key, tuple[str, ...]], ...]


def net(changes: Iterable[Change]) -> tuple[Difference, ...]:
    """What changes (oldest first) come to, by object; what was changed back is left out."""
    first: dict[Key, Body | None] = {}
    last: dict[Key, Body | None] = {}
    for change in changes:
        for difference in change.differences:
            first.setdefault(difference.key, difference.before)
            last[difference.key] = difference.after
    return tuple(
        Difference(key, before, last[key])
        for key, before in sorted(first.items(), key=lambda item: item[0])
        if _plain(before) != _plain(last[key])
    )


def _plain(body: Body | None) -> Json | None:
    """The object as a user would write it: without what the store and other machines keep."""
    if body is None:
        return None
    value = body.value()
    dropped = (*UNREAD, "deletionTimestamp", "deletionGracePeriodSeconds")
    metadata: Json = {name: member for name, member in value["metadata"].items() if name not in dropped}
    return {**value, "metadata": metadata}


def revert(changes: Sequence[Change], current: Mapping[Key, Version]) -> Revert:
    """Take `changes` (in any order) back from the `current` objects, newest first.

    Fields that later changes moved are left alone where they are others than the reverted ones, else conflicts.
    """
    state = {key: _plain(version.body) for key, version in current.items()}
    conflicts: dict[Key, list[str]] = {}
    for change in sorted(changes, key=lambda change: -change.number):
        for difference in change.differences:
            key = difference.key
            wanted, paths = rebase(state.get(key), _plain(difference.after), _plain(difference.before))
            state[key] = wanted
            if paths:
                conflicts.setdefault(key, []).extend(paths)
    writes = tuple(
        write
        for key, wanted in sorted(state.items(), key=lambda item: item[0])
        if key not in conflicts and (write := _write(key, wanted, current.get(key))) is not None
    )
    return Revert(writes, tuple((key, tuple(paths)) for key, paths in sorted(conflicts.items())))


def _write(key: Key, wanted: Mapping[str, Any] | None, current: Version | None) -> Write | None:
    if current is None:
        return Create(key, wanted) if wanted is not None else None
    if wanted is None:
        return Delete(key, current.revision, current.uid)
    if wanted == _plain(current.body):
        return None
    return Update(key, wanted, current.revision, current.uid)
