"""What one node is to know, as tables: its pods, its proxies, and the resources of their classes.

Encoding is incremental by identity: what is the same object as in the last round keeps its table, and a table that
is the same object costs the sender nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from meshwright.model.names import ProxyName, ResourceName
from meshwright.model.planned_pod import DesiredState, PlannedPod
from meshwright.model.proxy import ProxyClass
from meshwright.model.published import Published, Resources
from meshwright.node.tables import RESOURCES, ResourceTable, Table, View

PODS, NAMES, FORWARDS, SERVICES = "pods", "names", "forwards", "services"
DOCUMENTS, TRUST, PROXIES, CLASSES = "documents", "trust", "proxies", "classes"
ROOTS = "roots"
CLASS_ID_BYTES = 8

Documents = Mapping[str, bytes]
"""Whatever else the agent must have with the control plane down, by a name that both sides know."""


@dataclass(frozen=True, slots=True)
class EncodedClass:
    """One class as tables."""

    id: str
    resources: Resources
    secrets: tuple[ResourceName, ...]
    row: bytes
    tables: Mapping[str, ResourceTable]


class ClassEncoder:
    """The classes of the newest published set; shared by all nodes."""

    def __init__(self) -> None:
        self._published: Published | None = None
        self._classes: dict[ProxyClass, EncodedClass] = {}

    def classes(self, published: Published) -> Mapping[ProxyClass, EncodedClass]:
        """All classes of `published`; what did not change is what it was."""
        if published is not self._published:
            self._classes = {
                key: self._encoded(key, resources, published.secrets.get(key, ()))
                for key, resources in published.classes.items()
            }
            self._published = published
        return self._classes

    def _encoded(self, key: ProxyClass, resources: Resources, secrets: tuple[ResourceName, ...]) -> EncodedClass:
        before = self._classes.get(key)
        if before is not None and before.resources is resources and before.secrets == secrets:
            return before
        if before is not None:
            number = before.id
        else:
            number = blake2b(msgspec.msgpack.encode(key), digest_size=CLASS_ID_BYTES).hexdigest()
        tables: dict[str, ResourceTable] = {}
        for url, named in resources.items():
            name = f"{RESOURCES}{number}/{url}"
            known = before.tables.get(name) if before else None
            if known is None or known.resources is not named:
                known = ResourceTable(named)
            tables[name] = known
        return EncodedClass(number, resources, secrets, msgspec.msgpack.encode((key, secrets)), tables)


@dataclass(slots=True)
class NodeEncoder:
    """One node's view: `view` whenever something moved."""

    _desired: DesiredState | None = None
    _pods: dict[str, tuple[PlannedPod, bytes]] = field(default_factory=dict[str, tuple[PlannedPod, bytes]])
    _tables: dict[str, Table] = field(default_factory=dict[str, Table])
    _sources: dict[str, object] = field(default_factory=dict[str, object])
    _proxies: frozenset[ProxyName] = frozenset()
    _seen: tuple[object, ...] = ()
    _view: View | None = None

    def view(
        self,
        published: Published,
        classes: Mapping[ProxyClass, EncodedClass],
        desired: DesiredState,
        documents: Documents,
        roots_pem: bytes,
    ) -> View:
        """Everything that the node is to know; the same object as long as nothing moved."""
        sources = (published, desired, documents, roots_pem)
        if self._view is not None and all(a is b for a, b in zip(sources, self._seen, strict=True)):
            return self._view
        self._seen = sources
        self._take(desired)
        mine = {name: key for name, key in published.proxies.items() if name in self._proxies}
        used = {key: classes[key] for key in mine.values()}
        self._keep(DOCUMENTS, dict(documents))
        self._keep(TRUST, {ROOTS: roots_pem} if roots_pem else {})
        self._keep(CLASSES, {found.id: found.row for found in used.values()})
        self._keep(PROXIES, {name: used[key].id.encode() for name, key in sorted(mine.items())})
        tables: dict[str, Table] = dict(self._tables)
        for found in used.values():
            tables.update(found.tables)
        self._view = View(tables, published.change)
        return self._view

    def _take(self, desired: DesiredState) -> None:
        if desired is self._desired:
            return
        self._desired = desired
        pods: dict[str, tuple[PlannedPod, bytes]] = {}
        for pod in desired.pods:
            known = self._pods.get(pod.name)
            pods[pod.name] = known if known and known[0] == pod else (pod, msgspec.msgpack.encode(pod))
        self._pods = pods
        self._proxies = frozenset(pod.name for pod in desired.pods if pod.role is not None)
        self._keep(PODS, {name: data for name, (_, data) in pods.items()})
        self._keep_pairs(NAMES, desired.names, (host for host, _ in desired.names))
        self._keep_pairs(SERVICES, desired.services, (address for address, _ in desired.services))
        self._keep_pairs(FORWARDS, desired.forwards, (str(each.host_port) for each in desired.forwards))

    def _keep_pairs(self, table: str, values: tuple[Any, ...], keys: Iterable[str]) -> None:
        """A tuple as a table; a key that comes twice is told apart, so that any tuple can be sent."""
        if self._sources.get(table) is values and table in self._tables:
            return
        self._sources[table] = values
        rows: dict[str, bytes] = {}
        for number, (key, value) in enumerate(zip(keys, values, strict=True)):
            rows[f"{key}#{number}" if key in rows else key] = msgspec.msgpack.encode(value)
        self._keep(table, rows)

    def _keep(self, name: str, rows: dict[str, bytes]) -> None:
        known = self._tables.get(name)
        if known is None or list(known.rows.items()) != list(rows.items()):
            self._tables[name] = Table(rows)
