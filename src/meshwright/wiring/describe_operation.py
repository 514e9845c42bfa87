"""The operation `describe`: one object (or all of a kind) for somebody who runs a mesh."""

from collections.abc import Mapping
from typing import Any, cast

from meshwright.documents.lines import Lines
from meshwright.documents.render import render
from meshwright.kinds.table import KINDS, Kind
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.names import ProxyName
from meshwright.model.origin import ObjectRef
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.service import Service
from meshwright.model.virtual_service import VirtualService
from meshwright.node.server import NodeServer
from meshwright.processes.messages import BadRequest, Fields
from meshwright.store.names import Key, Resource
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store
from meshwright.store.version import Version
from meshwright.wiring import describe_objects
from meshwright.wiring.describe_view import Json, View
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.receipts import Receipts
from meshwright.wiring.source_lines import SourceLines

Described = Service | VirtualService | DestinationRule | Gateway | PeerAuthentication
MOST = 200
CHANGES = 5


class DescribeOperation:
    """Answers {objects: [...]}; each has kind, namespace, name, conditions, findings, changes and the parts of its
    kind, see `describe_objects`.
    """

    def __init__(
        self, store: Store, mesh: LiveMesh, receipts: Receipts, nodes: NodeServer, sources: SourceLines
    ) -> None:
        self._store = store
        self._mesh = mesh
        self._receipts = receipts
        self._nodes = nodes
        self._sources = sources

    async def answer(self, fields: Fields) -> dict[str, Any]:
        """Raises BadRequest (usage) for an unknown kind, StoreError for an object that is not there."""
        kind = kind_of(fields.text("kind"))
        resource = Resource(kind.group, kind.plural)
        namespace = fields.text("namespace", "default") if kind.namespaced else ""
        if name := fields.text("name", ""):
            found = [await self._store.get(Key(resource, namespace, name))]
        else:
            everywhere = not kind.namespaced or fields.flag("all_namespaces", default=False)
            scope = Scope(resource, None if everywhere else namespace)
            found = list((await self._store.list(Query(scope))).items)[:MOST]
        view = await self._view()
        return {"objects": [await self._described(kind, version, view) for version in found]}

    async def _view(self) -> View:
        snapshot = self._mesh.snapshot
        refs = {
            each.meta.ref
            for group in (
                snapshot.services,
                snapshot.virtual_services,
                snapshot.destination_rules,
                snapshot.gateways,
                snapshot.peer_authentications,
            )
            for each in group
        }
        lines = await self._sources.find(frozenset(refs))
        published = self._mesh.published.value
        return View(snapshot, published, self._nodes.statuses.value, self._nodes.progress(), lines)

    async def _described(self, kind: Kind, version: Version, view: View) -> Json:
        key = version.key
        ref = ObjectRef(kind.kind, key.namespace, key.name)
        parts = self._parts(ref, view)
        return {
            **parts,
            "object": view.ref(ref),
            "kind": kind.kind,
            "namespace": key.namespace,
            "name": key.name,
            **_head(version),
            "findings": self._findings(ref, view.lines),
            "changes": await self._changes(key),
            "proxies": [view.proxy(name, self._change_of(view, name)) for name in parts.get("proxies", [])],
        }

    def _parts(self, ref: ObjectRef, view: View) -> Json:
        snapshot = view.snapshot
        if ref.kind == "Pod":
            return self._pod(ref, view)
        values: Mapping[str, tuple[Described, ...]] = {
            "Service": snapshot.services,
            "ServiceEntry": snapshot.services,
            "VirtualService": snapshot.virtual_services,
            "DestinationRule": snapshot.destination_rules,
            "Gateway": snapshot.gateways,
            "PeerAuthentication": snapshot.peer_authentications,
        }
        found = [_described(view, each) for each in values.get(ref.kind, ()) if each.meta.ref == ref]
        if len(found) > 1:  # a ServiceEntry with several hosts
            return {"hosts": found, "proxies": sorted({name for each in found for name in each["proxies"]})}
        return found[0] if found else {}

    def _pod(self, ref: ObjectRef, view: View) -> Json:
        pods = [pod for pod in self._mesh.desired.value.pods if pod.meta.ref == ref]
        if not pods:
            return {}
        load = next((each for each in view.snapshot.workloads if each.meta.ref == ref), None)
        return describe_objects.pod(view, pods[0], load, lambda name: self._change_of(view, name))

    def _change_of(self, view: View, name: ProxyName) -> int | None:
        progress = view.progress.get(name)
        return self._receipts.change_of(progress.change) if progress is not None and progress.connected else None

    def _findings(self, ref: ObjectRef, lines: Mapping[ObjectRef, Lines]) -> list[str]:
        loaded = self._mesh.loaded
        found = (*(loaded.diagnostics if loaded else ()), *self._mesh.published.value.diagnostics)
        mine = dict.fromkeys(each for each in found if each.origin.object == ref)
        return [render(each, lines.get(ref, Lines())) for each in mine]

    async def _changes(self, key: Key) -> list[Json]:
        found = await self._store.changes(CHANGES, key)
        return [self._change(each.number, each.time, each.author, each.message) for each in found]

    def _change(self, number: int, time: int, author: str, message: str) -> Json:
        receipt = self._receipts.of(number)
        return {
            "number": number,
            "time": time,
            "author": author,
            "message": message,
            "live": None if receipt is None else receipt.live,
            "waiting": [] if receipt is None else list(receipt.waiting),
            "absent": [] if receipt is None else list(receipt.absent),
        }


def _described(view: View, value: Described) -> Json:
    match value:
        case Service():
            return describe_objects.service(view, value)
        case VirtualService():
            return describe_objects.virtual_service(view, value)
        case DestinationRule():
            return describe_objects.destination_rule(view, value)
        case Gateway():
            return describe_objects.gateway(view, value)
        case PeerAuthentication():
            return describe_objects.peer_authentication(view, value)


def _head(version: Version) -> Json:
    """What every object has."""
    value = version.value()
    metadata = cast("Json", value.get("metadata", {}))
    status = cast("Json", value.get("status") or {})
    return {
        "created": metadata.get("creationTimestamp"),
        "generation": metadata.get("generation"),
        "labels": metadata.get("labels") or {},
        "conditions": [
            {name: each.get(name) for name in ("type", "status", "reason", "message", "lastTransitionTime")}
            for each in cast("list[Json]", status.get("conditions") or [])
        ],
    }


def kind_of(words: str) -> Kind:
    """By kind, plural, singular or short name, upper or lower case. Raises BadRequest."""
    asked = words.lower()
    for kind in KINDS:
        if asked in {kind.kind.lower(), kind.plural, kind.singular, *kind.short_names}:
            return kind
    raise BadRequest(f"there is no kind {words}; there are {', '.join(sorted(k.plural for k in KINDS))}", "usage")
