"""What is asked for in a list or a watch, and the pages a list comes in."""

import base64
import binascii
from dataclasses import dataclass, field

import msgspec

from meshwright.store.engine import Place, Records
from meshwright.store.errors import InvalidError, check_kept
from meshwright.store.names import Key, Resource, Revision
from meshwright.store.selectors import Selector
from meshwright.store.version import Event, EventType, Version

CHUNK = 500
EVERYTHING = Selector()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects: a resource (None: of every kind), a namespace (None: in all), and a selector."""

    resource: Resource | None = None
    namespace: str | None = None
    selector: Selector = field(default=EVERYTHING)

    @property
    def place(self) -> Place:
        return Place(self.resource, self.namespace)

    def seen(self, event: Event) -> Event | None:
        """The event as one sees it who watches this scope: objects enter and leave the selector.

        The event's object is known to be in the place.
        """
        if not self.selector:
            return event
        was = event.before is not None and self.selector.selects(event.before)
        if event.type is EventType.DELETED:
            return event if was else None
        if self.selector.selects(event.version):
            kind = EventType.MODIFIED if was else EventType.ADDED
            return Event(kind, event.version, event.before if was else None, event.time, event.change)
        if not was or event.before is None:
            return None
        left = Version(
            event.version.key, event.version.revision, event.before.uid, event.before.body, event.before.status
        )
        return Event(EventType.DELETED, left, event.before, event.time, event.change)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: the objects, the revision all of its pages show, and the token of the next page.

    `remaining` is how many objects follow; None where a selector makes it unknown.
    """

    items: tuple[Version, ...]
    revision: Revision
    token: str | None
    remaining: int | None


class _Token(msgspec.Struct, array_like=True):
    revision: int
    group: str
    plural: str
    namespace: str
    name: str


def _token(revision: Revision, key: Key) -> str:
    said = _Token(revision, key.resource.group, key.resource.plural, key.namespace, key.name)
    return base64.urlsafe_b64encode(msgspec.json.encode(said)).decode()


def _read_token(token: str) -> tuple[Revision, Key]:
    try:
        said = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=_Token)
    except (binascii.Error, ValueError):
        raise InvalidError("the continue token is not one of this server") from None
    return Revision(said.revision), Key(Resource(said.group, said.plural), said.namespace, said.name)


@dataclass(frozen=True, slots=True)
class Query:
    """A list: how many at most (None: all), the token of the page before, or the kept revision to show."""

    scope: Scope
    limit: int | None = None
    token: str | None = None
    at: Revision | None = None


def answer(records: Records, query: Query) -> Page:
    """One page. Raises InvalidError for a bad token, GoneError where its revision is no longer kept."""
    head = records.head()
    after: Key | None = None
    at = query.at if query.at is not None else head.revision
    if query.token is not None:
        at, after = _read_token(query.token)
    check_kept(at, head.compacted, head.revision)
    wanted = query.limit + 1 if query.limit else None
    found = _select(records, query.scope, at, after, wanted)
    if wanted is None or len(found) < wanted:
        return Page(tuple(found), at, None, None if query.scope.selector else 0)
    items = tuple(found[:-1])
    last = items[-1].key
    remaining = None if query.scope.selector else records.count(query.scope.place, at, last)
    return Page(items, at, _token(at, last), remaining)


def _select(records: Records, scope: Scope, at: Revision, after: Key | None, wanted: int | None) -> list[Version]:
    selector, place = scope.selector, scope.place
    key = _only_key(scope)
    if key is not None and at == records.head().revision:
        version = records.find(key) if after is None or after < key else None
        return [version] if version is not None and selector.selects(version) else []
    found: list[Version] = []
    while True:
        chunk = CHUNK if wanted is None or selector else min(CHUNK, wanted - len(found))
        versions = records.scan(place, at, after, chunk)
        found.extend(filter(selector.selects, versions) if selector else versions)
        if len(versions) < chunk or (wanted is not None and len(found) >= wanted):
            return found if wanted is None else found[:wanted]
        after = versions[-1].key


def _only_key(scope: Scope) -> Key | None:
    """The one object that a scope with a name can hold."""
    name = scope.selector.name
    if name is None or scope.resource is None or scope.namespace is None:
        return None
    return Key(scope.resource, scope.namespace, name)
