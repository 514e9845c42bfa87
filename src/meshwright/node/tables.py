"""Replicating tables over a stream: the newest state of one side becomes the other's, in as few bytes as possible.

A state is a set of named tables of rows (key -> bytes). The sender keeps what it has sent; the next state, whenever
there is one, is sent as the difference, and nothing in between is kept. Tables of resources (`RESOURCES` prefix) hold
versions; the resources themselves travel as blobs, each once. No I/O here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from meshwright.model.chunked import differing
from meshwright.model.names import ResourceName, TypeUrl, Version
from meshwright.model.published import EncodedResource
from meshwright.node.messages import Blob, Commit, Dropped, Message, Rows

RESOURCES = "r/"
DIGEST_BYTES = 16
PART = 128 << 10  # bytes; roughly how much of a table goes into one message

BlobKey = tuple[TypeUrl, ResourceName, Version]


class Table:
    """Rows that never change, in an order that means something."""

    __slots__ = ("_digest", "_rows")

    def __init__(self, rows: Mapping[str, bytes]) -> None:
        self._rows: Mapping[str, bytes] | None = rows
        self._digest = b""

    @property
    def rows(self) -> Mapping[str, bytes]:
        """All of them."""
        assert self._rows is not None
        return self._rows

    @property
    def digest(self) -> bytes:
        """Equal tables, equal digests; computed when first asked for."""
        if not self._digest:
            self._digest = digest_of(self.rows, ordered=not isinstance(self, ResourceTable))
        return self._digest


class ResourceTable(Table):
    """Names with versions, in any order: the resources of one type of one class."""

    __slots__ = ("resources",)

    def __init__(self, resources: Mapping[ResourceName, EncodedResource]) -> None:
        super().__init__({})
        self._rows = None  # made when somebody resumes
        self.resources = resources

    @property
    def rows(self) -> Mapping[str, bytes]:
        """All names; slow."""
        if self._rows is None:
            self._rows = {str(name): item.version.encode() for name, item in self.resources.items()}
        return self._rows


def digest_of(rows: Mapping[str, bytes], *, ordered: bool) -> bytes:
    """A hash over all rows."""
    found = blake2b(digest_size=DIGEST_BYTES)
    for key, value in rows.items() if ordered else sorted(rows.items()):
        name = key.encode()
        found.update(b"%d %d " % (len(name), len(value)))
        found.update(name)
        found.update(value)
    return found.digest()


def blob_digest(key: BlobKey) -> bytes:
    """A resource's name on a stream that resumes."""
    return blake2b("\0".join(key).encode(), digest_size=DIGEST_BYTES).digest()


def is_ordered(table: str) -> bool:
    """Whether the order of a table's rows means something."""
    return not table.startswith(RESOURCES)


def url_of(table: str) -> TypeUrl:
    """The type of the resources in a table of resources."""
    return TypeUrl(table.removeprefix(RESOURCES).partition("/")[2])


@dataclass(frozen=True, slots=True)
class View:
    """A state to be sent. `change` is the number of the published set in it."""

    tables: Mapping[str, Table]
    change: int = 0


EMPTY_VIEW = View({})


class TableSender:
    """Aim it at the newest view; ask `next_message` until it says None."""

    def __init__(self) -> None:
        self.serial = 0
        self._sent: Mapping[str, Table] = {}
        self._target: View | None = None
        self._committed: View | None = None
        self._batch: Iterator[Message] | None = None
        self._held: set[bytes] = set()
        self._stale: list[str] = []

    def aim(self, view: View) -> None:
        """The newest state is `view`."""
        self._target = view

    def resume(self, tables: Mapping[str, bytes], blobs: Iterable[bytes], view: View) -> None:
        """The other side has these tables and blobs already (digests), of whatever former stream."""
        self._sent = {
            name: found
            for name, digest in tables.items()
            if (found := view.tables.get(name)) is not None and found.digest == digest
        }
        self._stale = [name for name in tables if name not in self._sent]
        self._held = set(blobs)
        self._target = view

    @property
    def committed(self) -> View | None:
        """The view that was sent last, whole."""
        return self._committed

    def next_message(self) -> Message | None:
        """The next message for the other side; None when it has the newest state."""
        if self._batch is None:
            if self._target is None or self._target is self._committed:
                return None
            self._batch = self._difference(self._target)
        message = next(self._batch)
        if isinstance(message, Commit):
            self._batch = None
        return message

    def _difference(self, view: View) -> Iterator[Message]:
        old = self._sent
        gone = [*self._stale, *(name for name in old if name not in view.tables)]
        if gone:
            yield Dropped(gone)
        blobs = _Blobs(old, self._held)
        for name, table in view.tables.items():
            before = old.get(name)
            if before is table:
                continue
            if isinstance(table, ResourceTable):
                assert before is None or isinstance(before, ResourceTable)
                yield from _resources(name, before, table, blobs)
            else:
                yield from _rows(name, before, table)
        self._sent, self._held, self._stale = view.tables, set(), []
        self._committed = view
        self.serial += 1
        yield Commit(self.serial, view.change)


class _Blobs:
    """Which resources the other side has, while one difference is sent."""

    def __init__(self, old: Mapping[str, Table], held: set[bytes]) -> None:
        self._old: dict[TypeUrl, list[Mapping[ResourceName, EncodedResource]]] = {}
        for name, table in old.items():
            if isinstance(table, ResourceTable):
                self._old.setdefault(url_of(name), []).append(table.resources)
        self._held = held
        self._sent: set[BlobKey] = set()

    def needed(self, resource: EncodedResource) -> Blob | None:
        """The resource as a message, unless the other side has it."""
        key = (resource.type_url, resource.name, resource.version)
        if key in self._sent:
            return None
        self._sent.add(key)
        for named in self._old.get(resource.type_url, ()):
            known = named.get(resource.name)
            if known is not None and known.version == resource.version:
                return None
        if self._held and blob_digest(key) in self._held:
            return None
        return Blob(*key, resource.pieces[0], resource.value)


def _resources(name: str, before: ResourceTable | None, table: ResourceTable, blobs: _Blobs) -> Iterator[Message]:
    """The messages that make `before` the table: each resource that is new to the other side, then the rows."""
    old: Mapping[ResourceName, EncodedResource] = before.resources if before else {}
    parts = _Parts(name)
    for key in sorted(differing(old, table.resources)):
        item, known = table.resources.get(key), old.get(key)
        if item is None:
            yield from parts.remove(key)
        elif known is None or known.version != item.version:
            blob = blobs.needed(item)
            if blob is not None:
                yield blob
            yield from parts.put(key, item.version.encode())
    yield from parts.end(begins=before is None)


def _rows(name: str, before: Table | None, table: Table) -> Iterator[Message]:
    """The messages that make `before` the table."""
    old: Mapping[str, bytes] = before.rows if before else {}
    new, parts = table.rows, _Parts(name)
    for key in old:
        if key not in new:
            yield from parts.remove(key)
    for key, value in new.items():
        if old.get(key) != value:
            yield from parts.put(key, value)
    yield from parts.end(begins=before is None, order=_order(old, new))


class _Parts:
    """Rows of one table, gathered into messages of a decent size."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._put: list[tuple[str, bytes]] = []
        self._gone: list[str] = []
        self._size = 0

    def put(self, key: str, value: bytes) -> Iterator[Message]:
        self._put.append((key, value))
        return self._grown(len(key) + len(value))

    def remove(self, key: str) -> Iterator[Message]:
        self._gone.append(key)
        return self._grown(len(key))

    def _grown(self, size: int) -> Iterator[Message]:
        self._size += size
        if self._size >= PART:
            yield Rows(self._table, self._put, self._gone)
            self._put, self._gone, self._size = [], [], 0

    def end(self, *, begins: bool, order: list[str] | None = None) -> Iterator[Message]:
        """What is left; also nothing, when the table `begins` and has no rows."""
        if begins or self._put or self._gone or order is not None:
            yield Rows(self._table, self._put, self._gone, order)


def _order(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str] | None:
    """The keys, when they are not in the order that the receiver comes to by itself."""
    natural = [key for key in before if key in after]
    natural += [key for key in after if key not in before]
    wanted = list(after)
    return None if natural == wanted else wanted


class TableError(Exception):
    """The other side says what cannot be; the stream must end."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one batch may hold before its commit, and how many tables may be: against a hostile sender."""

    tables: int = 100_000
    rows: int = 10_000_000
    bytes: int = 1 << 30


@dataclass(slots=True)
class TableReceiver:
    """The other end: `take` every message; after each commit `tables` is the sender's state."""

    bounds: Bounds = Bounds()
    tables: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    _staged: list[Rows | Dropped] = field(default_factory=list[Rows | Dropped])
    _rows: int = 0
    _bytes: int = 0

    def take(self, message: Rows | Dropped) -> None:
        """Keep a message for the commit. Raises TableError."""
        self._staged.append(message)
        if isinstance(message, Rows):
            self._rows += 1 + len(message.put) + len(message.gone) + len(message.order or ())
            self._bytes += sum(len(key) + len(value) for key, value in message.put)
        else:
            self._rows += 1 + len(message.tables)
        if self._rows > self.bounds.rows or self._bytes > self.bounds.bytes:
            raise TableError("a state beyond the bounds")

    def commit(self) -> Mapping[str, set[str]]:
        """Make all of it count; the tables that moved, with the keys that may be otherwise. Raises TableError."""
        moved: dict[str, set[str]] = {}
        staged, self._staged, self._rows, self._bytes = self._staged, [], 0, 0
        for message in staged:
            if isinstance(message, Dropped):
                for name in message.tables:
                    moved.setdefault(name, set()).update(self.tables.pop(name, ()))
                continue
            keys = moved.setdefault(message.table, set())
            keys.update(message.gone)
            keys.update(key for key, _ in message.put)
            self.tables[message.table] = _applied(self.tables.get(message.table, {}), message)
        if len(self.tables) > self.bounds.tables or sum(map(len, self.tables.values())) > self.bounds.rows:
            raise TableError("more than the bounds allow")
        return moved


def _applied(rows: dict[str, bytes], message: Rows) -> dict[str, bytes]:
    """A new dictionary: who holds the old one keeps what it had."""
    found = dict(rows)
    for key in message.gone:
        found.pop(key, None)
    found.update(message.put)
    if message.order is None:
        return found
    if len(message.order) != len(found) or set(message.order) != found.keys():
        raise TableError("an order of other rows")
    return {key: found[key] for key in message.order}
