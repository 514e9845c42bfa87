"""What a node knows: the tables of the control plane, and the values made of them. No I/O here.

What did not move stays the same object from one state to the next, down to each type's resources of each class.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from meshwright.model.names import ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.planned_pod import DesiredState, HostForward, PlannedPod
from meshwright.model.proxy import ProxyClass
from meshwright.model.published import EncodedResource, Published, Resources
from meshwright.node.messages import PROTOCOL, Blob, Commit, Dropped, Hello, Rows
from meshwright.node.state import (
    CLASSES,
    DOCUMENTS,
    FORWARDS,
    NAMES,
    PODS,
    PROXIES,
    ROOTS,
    SERVICES,
    TRUST,
    Documents,
)
from meshwright.node.tables import (
    RESOURCES,
    BlobKey,
    TableError,
    TableReceiver,
    blob_digest,
    digest_of,
    is_ordered,
    url_of,
)

MOST_RESUMED = 200_000  # resources; who has more starts anew instead of naming them all
NamedResources = Mapping[ResourceName, EncodedResource]
Pair = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class NodeState:
    """All that the control plane wants this node to know."""

    published: Published
    desired: DesiredState
    documents: Documents
    roots_pem: bytes
    serial: int = 0


class _Saved(msgspec.Struct, array_like=True):
    """A replica on disk."""

    protocol: int
    change: int
    tables: dict[str, dict[str, bytes]]
    blobs: list[Blob]


@dataclass(slots=True)
class _Class:
    row: bytes
    key: ProxyClass
    secrets: tuple[ResourceName, ...]
    resources: Resources


@dataclass(slots=True)
class Replica:
    """`take` what comes, `commit` gives the new state; `hello` says what is there already."""

    _receiver: TableReceiver = field(default_factory=TableReceiver)
    _blobs: dict[BlobKey, EncodedResource] = field(default_factory=dict[BlobKey, EncodedResource])
    _uses: dict[BlobKey, int] = field(default_factory=dict[BlobKey, int])
    _fresh: list[BlobKey] = field(default_factory=list[BlobKey])
    _named: dict[str, NamedResources] = field(default_factory=dict[str, NamedResources])
    _classes: dict[str, _Class] = field(default_factory=dict[str, _Class])
    _pods: dict[str, tuple[bytes, PlannedPod]] = field(default_factory=dict[str, tuple[bytes, PlannedPod]])
    _parts: dict[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    _desired: DesiredState = field(default_factory=DesiredState)
    _change: int = 0
    _last: Published = field(default_factory=lambda: Published({}, {}, {}))

    def hello(self) -> Hello:
        """What the control plane needs not send again."""
        if len(self._blobs) > MOST_RESUMED:
            return Hello(PROTOCOL, {}, [])
        tables = {name: digest_of(rows, ordered=is_ordered(name)) for name, rows in self._receiver.tables.items()}
        return Hello(PROTOCOL, tables, [blob_digest(key) for key in self._blobs])

    def take(self, message: Blob | Rows | Dropped) -> None:
        """Keep a message until the commit. Raises TableError."""
        if not isinstance(message, Blob):
            self._receiver.take(message)
            return
        key = (message.url, message.name, message.version)
        if key not in self._blobs:
            self._blobs[key] = EncodedResource(*key, (message.head, message.value))
            self._fresh.append(key)

    def resources(self) -> Collection[BlobKey]:
        """All that are here, those of an open batch included."""
        return self._blobs.keys()

    def rows_of(self, table: str) -> Mapping[str, bytes] | None:
        """A table as of the last commit; None when there is none."""
        return self._receiver.tables.get(table)

    def interrupt(self) -> None:
        """The stream broke: what came since the last commit never was."""
        self._receiver = TableReceiver(tables=self._receiver.tables)
        self._forget_unused()

    def commit(self, message: Commit) -> NodeState:
        """All that came counts; the state it makes. Raises TableError, after which the replica is of no use."""
        moved = self._receiver.commit()
        self._change = message.change
        try:
            return self._state(moved, message.serial)
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
            raise TableError(f"rows that do not fit together: {error!r}") from None

    # ------------------------------------------------------------ on disk

    def dump(self) -> bytes:
        """All of it as bytes."""
        blobs = [Blob(*key, item.pieces[0], item.value) for key, item in self._blobs.items()]
        return msgspec.msgpack.encode(_Saved(PROTOCOL, self._change, self._receiver.tables, blobs))

    def load(self, data: bytes) -> NodeState:
        """Be what was dumped; for an empty replica. Raises TableError when that cannot be read."""
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except msgspec.MsgspecError as error:
            raise TableError(str(error)) from None
        if saved.protocol != PROTOCOL:
            raise TableError(f"protocol {saved.protocol}")
        for blob in saved.blobs:
            self.take(blob)
        for name, rows in saved.tables.items():
            self.take(Rows(name, list(rows.items())))
        return self.commit(Commit(0, saved.change))

    # ------------------------------------------------------------ values

    def _rows(self, table: str) -> Mapping[str, bytes]:
        return self._receiver.tables.get(table, {})

    def _state(self, moved: Mapping[str, set[str]], serial: int) -> NodeState:
        for table, keys in moved.items():
            if not is_ordered(table):
                self._move_resources(table, keys)
        self._forget_unused()
        self._move_desired(moved)
        roots = self._rows(TRUST).get(ROOTS, b"")
        if self._last.change != self._change or any(not is_ordered(t) or t in {CLASSES, PROXIES} for t in moved):
            self._last = self._published()
        return NodeState(self._last, self._desired, dict(self._rows(DOCUMENTS)), roots, serial)

    def _move_resources(self, table: str, keys: set[str]) -> None:
        """The resources of a table, of which these rows may be others."""
        url, rows = url_of(table), self._receiver.tables.get(table)
        named = dict(self._named.pop(table, {}))
        for name in keys:
            version = rows.get(name) if rows is not None else None
            before = named.pop(ResourceName(name), None)
            if version is not None:
                key = (url, ResourceName(name), Version(version.decode()))
                named[key[1]] = self._blobs[key]
                self._uses[key] = self._uses.get(key, 0) + 1
            if before is not None:
                self._release((before.type_url, before.name, before.version))
        if rows is not None:
            self._named[table] = named

    def _release(self, key: BlobKey) -> None:
        self._uses[key] -= 1
        if not self._uses[key]:
            self._fresh.append(key)

    def _forget_unused(self) -> None:
        """Resources that no class has any more (or that came and were never meant) go."""
        for key in self._fresh:
            if not self._uses.get(key):
                self._uses.pop(key, None)
                self._blobs.pop(key, None)
        self._fresh.clear()

    def _published(self) -> Published:
        parts: dict[str, dict[TypeUrl, NamedResources]] = {}
        for table, named in self._named.items():
            number = table.removeprefix(RESOURCES).partition("/")[0]
            parts.setdefault(number, {})[url_of(table)] = named
        self._classes = {
            number: self._class(number, row, parts.get(number, {})) for number, row in self._rows(CLASSES).items()
        }
        classes = self._classes
        return Published(
            proxies={ProxyName(name): classes[number.decode()].key for name, number in self._rows(PROXIES).items()},
            classes={found.key: found.resources for found in classes.values()},
            secrets={found.key: found.secrets for found in classes.values()},
            change=self._change,
        )

    def _class(self, number: str, row: bytes, resources: dict[TypeUrl, NamedResources]) -> _Class:
        before = self._classes.get(number)
        if before is None or before.row != row:
            key, secrets = msgspec.msgpack.decode(row, type=tuple[ProxyClass, tuple[ResourceName, ...]])
            return _Class(row, key, secrets, resources)
        same = before.resources.keys() == resources.keys() and all(
            before.resources[url] is named for url, named in resources.items()
        )
        return before if same else _Class(row, before.key, before.secrets, resources)

    def _move_desired(self, moved: Collection[str]) -> None:
        if PODS in moved:
            self._pods = {name: self._pod(name, data) for name, data in self._rows(PODS).items()}
            self._parts[PODS] = tuple(pod for _, pod in self._pods.values())
        for table, kind in ((NAMES, Pair), (SERVICES, Pair), (FORWARDS, HostForward)):
            if table in moved:
                values = self._rows(table).values()
                self._parts[table] = tuple(msgspec.msgpack.decode(data, type=kind) for data in values)
        if {PODS, NAMES, SERVICES, FORWARDS} & set(moved):
            get = self._parts.get
            self._desired = DesiredState(get(PODS, ()), get(NAMES, ()), get(FORWARDS, ()), get(SERVICES, ()))

    def _pod(self, name: str, data: bytes) -> tuple[bytes, PlannedPod]:
        known = self._pods.get(name)
        return known if known and known[0] == data else (data, msgspec.msgpack.decode(data, type=PlannedPod))
