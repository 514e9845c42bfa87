"""Writes become events: what each does to the objects as they are, in one transaction; pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshwright.store import jsontext, objects, status
from meshwright.store.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError
from meshwright.store.history import Change, Difference, Meaning
from meshwright.store.names import Author, ChangeNumber, Json, Key, Resource, Revision, Uid
from meshwright.store.sources import Sources
from meshwright.store.version import Body, Event, EventType, Status, Version
from meshwright.store.writes import (
    Create,
    Delete,
    RemoveCondition,
    SetCondition,
    Update,
    UpdateStatus,
    Write,
    Written,
)

NAME_ATTEMPTS = 16
StatusWrite = UpdateStatus | SetCondition | RemoveCondition
Others = Callable[[Resource], Iterable[Version]]
"""All objects of a resource, as the writes so far have left them."""
Fill = Callable[[Key, Mapping[str, Any], Mapping[str, Any] | None, Others], Mapping[str, Any]]
"""What a writer leaves to the server is filled in where nothing else can come between: key, new content, content
before (None: a new object), and what else there is. Raises InvalidError."""


def as_sent(_key: Key, value: Mapping[str, Any], _before: object, _others: Others) -> Mapping[str, Any]:
    """Nothing is filled in."""
    return value


def nothing_else(_resource: Resource) -> Sequence[Version]:
    """No objects."""
    return ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What a transaction starts from. `find` gives the newest version of an object before it, `all_of` all objects of
    a resource; `fill` fills in what writers leave out.
    """

    find: Callable[[Key], Version | None]
    revision: Revision
    change: ChangeNumber
    sources: Sources
    meaning: Meaning
    all_of: Callable[[Resource], Sequence[Version]] = nothing_else
    fill: Fill = as_sent


@dataclass(frozen=True, slots=True)
class Decided:
    """What a transaction does: its events in order, a result for each write, and the change they make, if any."""

    events: tuple[Event, ...]
    written: tuple[Written, ...]
    change: Change | None


def decide(ground: Ground, writes: Iterable[Write], author: Author, message: str) -> Decided:
    """Raises NotFoundError, AlreadyExistsError, ConflictError, OwnedError or InvalidError for the first bad write."""
    draft = _Draft(ground)
    written = draft.settled([draft.write(write) for write in writes])
    differences = draft.differences()
    if not differences:
        return Decided(tuple(draft.events), written, None)
    number = ChangeNumber(ground.change + 1)
    touched = {difference.key for difference in differences}
    events = tuple(replace(event, change=number) if event.version.key in touched else event for event in draft.events)
    last = events[-1].version.revision
    return Decided(events, written, Change(number, last, draft.now, author, message, differences))


class _Draft:
    """The objects as the writes so far have left them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.now = ground.sources.now()
        self.events: list[Event] = []
        self._objects: dict[Key, Version | None] = {}
        self._first: dict[Key, Version | None] = {}
        self._scanned: dict[Resource, Sequence[Version]] = {}
        self._status_events: dict[Revision, int] = {}  # events of nothing but a status: which, by revision

    def find(self, key: Key) -> Version | None:
        return self._objects[key] if key in self._objects else self._ground.find(key)

    def _others(self, resource: Resource) -> Iterator[Version]:
        if resource not in self._scanned:
            self._scanned[resource] = self._ground.all_of(resource)
        touched = {key for key in self._objects if key.resource == resource}
        yield from (version for version in self._scanned[resource] if version.key not in touched)
        yield from (version for key in touched if (version := self._objects[key]) is not None)

    def differences(self) -> tuple[Difference, ...]:
        """The objects of which something is different that the mesh reads."""
        meaning = self._ground.meaning
        found: list[Difference] = []
        for key, first in self._first.items():
            before, after = (version.body if version else None for version in (first, self._objects[key]))
            if before is after:
                continue
            read = tuple(meaning(key, body.value()) if body else None for body in (before, after))
            if read[0] != read[1]:
                found.append(Difference(key, before, after))
        return tuple(found)

    def settled(self, written: list[Written]) -> tuple[Written, ...]:
        """Results with the status that later writes of the same event gave it."""
        final = {
            self.events[index].version.revision: self.events[index].version for index in self._status_events.values()
        }
        return tuple(
            replace(item, version=final[item.version.revision])
            if item.version and item.version.revision in final
            else item
            for item in written
        )

    def write(self, write: Write) -> Written:
        match write:
            case Create():
                return self._create(write)
            case Update():
                return self._update(write)
            case Delete():
                return self._delete(write)
            case UpdateStatus() | SetCondition() | RemoveCondition():
                return self._set_status(write)

    def _next(self) -> Revision:
        return Revision(self._ground.revision + len(self.events) + 1)

    def _add(self, kind: EventType, version: Version) -> Written:
        key = version.key
        before = self.find(key)
        self._first.setdefault(key, before)
        self._objects[key] = None if kind is EventType.DELETED else version
        self.events.append(Event(kind, version, before, self.now))
        return Written(version, kind)

    def _create(self, write: Create) -> Written:
        key = write.key if write.key.name else self._new_name(write)
        current = self.find(key)
        if current is not None:
            raise AlreadyExistsError(key, current)
        uid = self._ground.sources.uid()
        filled = self._ground.fill(key, write.value, None, self._others)
        value = objects.created(filled, key, self.now, uid)
        revision = self._next()
        return self._add(EventType.ADDED, Version(key, revision, uid, body_of(value, revision)))

    def _new_name(self, write: Create) -> Key:
        metadata: Mapping[str, Any] = write.value.get("metadata") or {}
        prefix = metadata.get("generateName")
        if not isinstance(prefix, str) or not prefix:
            raise InvalidError("an object needs metadata.name or metadata.generateName")
        for _ in range(NAME_ATTEMPTS):
            key = replace(write.key, name=prefix + self._ground.sources.suffix())
            if self.find(key) is None:
                return key
        raise InvalidError(f"no free name of {NAME_ATTEMPTS} tried for {prefix}")

    def _checked(self, key: Key, revision: Revision | None, uid: Uid | None) -> Version:
        current = self.find(key)
        if current is None:
            raise NotFoundError(key)
        if uid is not None and uid != current.uid:
            raise ConflictError(key, current, f"its uid is {current.uid}, not {uid}")
        if revision is not None and revision != current.revision:
            raise ConflictError(key, current, f"it was changed since: version {current.revision}, not {revision}")
        return current

    def _update(self, write: Update) -> Written:
        current = self._checked(write.key, write.revision, write.uid)
        before = current.body.value()
        filled = self._ground.fill(write.key, write.value, before, self._others)
        return self._replace(current, objects.updated(before, filled, write.key))

    def _delete(self, write: Delete) -> Written:
        current = self._checked(write.key, write.revision, write.uid)
        value = current.body.value()
        held = write.finalizers or value["metadata"].get("finalizers")
        if write.grace_seconds <= 0 and not held:
            return self._add(EventType.DELETED, replace(current, revision=self._next()))
        return self._replace(
            current, objects.deleting(value, self.now, max(write.grace_seconds, 0), write.finalizers)
        )

    def _replace(self, current: Version, value: Json) -> Written:
        """`value` in the place of `current`; an object that nobody holds any more goes away instead."""
        revision = self._next()
        body = body_of(value, revision)
        if objects.is_finished(value):
            return self._add(EventType.DELETED, replace(current, revision=revision, body=body))
        if body.text == current.body.text:
            return Written(current, None)
        return self._add(EventType.MODIFIED, replace(current, revision=revision, body=body))

    def _set_status(self, write: StatusWrite) -> Written:
        current = self._status_target(write)
        if current is None:
            return Written(None, None)
        before = current.status.value() if current.status else {}
        owners: Mapping[str, str] = current.status.owners if current.status else {}
        match write:
            case UpdateStatus():
                value, new_owners = status.replaced(before, owners, write.status, write.owner)
            case SetCondition():
                said = (write.owner, write.condition)
                value, new_owners = status.with_condition(before, owners, write.key, said, self.now)
            case RemoveCondition():
                value, new_owners = status.without_condition(before, owners, write.key, write.type, write.owner)
        text = jsontext.encode(value)
        if (current.status.text if current.status else b"{}") == text and owners == new_owners:
            return Written(current, None)
        return self._put_status(current, text, new_owners)

    def _status_target(self, write: StatusWrite) -> Version | None:
        if isinstance(write, UpdateStatus):
            return self._checked(write.key, write.revision, write.uid)
        if write.if_exists:
            current = self.find(write.key)
            return current if current is not None and write.uid in (None, current.uid) else None
        return self._checked(write.key, None, write.uid)

    def _put_status(self, current: Version, text: bytes, owners: dict[str, str]) -> Written:
        """Several status writes of one transaction to one object are one event."""
        index = self._status_events.get(current.revision)
        if index is None:
            revision = self._next()
            self._status_events[revision] = len(self.events)
            version = replace(current, revision=revision, status=Status(revision, text, owners))
            return self._add(EventType.MODIFIED, version)
        version = replace(current, status=Status(current.revision, text, owners))
        self.events[index] = replace(self.events[index], version=version)
        self._objects[current.key] = version
        return Written(version, EventType.MODIFIED)


def body_of(value: Json, revision: Revision) -> Body:
    """An object's content as it is stored. Raises InvalidError for labels that are no texts."""
    labels: object = value["metadata"].get("labels") or {}
    text = jsontext.encode_object(value)
    try:
        return Body(revision, text, jsontext.decode_map(jsontext.encode(labels)))
    except ValueError:
        raise InvalidError("metadata.labels must be a map of texts") from None
