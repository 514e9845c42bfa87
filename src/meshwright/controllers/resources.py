"""The kinds that controllers read and write, and which of them are no changes of the mesh by themselves."""

from collections.abc import Mapping
from typing import Any

import msgspec

from meshwright.store.names import Key, Resource

DEPLOYMENTS = Resource("apps", "deployments")
REPLICA_SETS = Resource("apps", "replicasets")
STATEFUL_SETS = Resource("apps", "statefulsets")
CONTROLLER_REVISIONS = Resource("apps", "controllerrevisions")
PODS = Resource("", "pods")
SERVICES = Resource("", "services")
ENDPOINTS = Resource("", "endpoints")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "endpointslices")
NAMESPACES = Resource("", "namespaces")
NODES = Resource("", "nodes")
EVENTS = Resource("", "events")
SERVICE_ACCOUNTS = Resource("", "serviceaccounts")

READ_WHOLE = frozenset({
    DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, PODS, SERVICES, ENDPOINTS, ENDPOINT_SLICES, NAMESPACES, NODES, EVENTS,
    CONTROLLER_REVISIONS,
})  # fmt: skip
"""Of all other kinds, Secrets among them, controllers keep the metadata only."""

MEANINGLESS = frozenset({PODS, REPLICA_SETS, CONTROLLER_REVISIONS, ENDPOINT_SLICES, ENDPOINTS, EVENTS, NODES})
"""Made by controllers from other objects: no entries in the history, and nothing to undo."""

REVISION = "deployment.kubernetes.io/revision"
NAMESPACE_FINALIZER = "kubernetes"


def without_marks(key: Key, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object without what controllers note in its metadata, which is no change of the mesh either."""
    metadata: Mapping[str, Any] = value.get("metadata") or {}
    if key.resource == DEPLOYMENTS and REVISION in (metadata.get("annotations") or {}):
        rest = {name: text for name, text in metadata["annotations"].items() if name != REVISION}
        cleaned = {name: item for name, item in metadata.items() if name != "annotations"}
        return {**value, "metadata": {**cleaned, "annotations": rest} if rest else cleaned}
    if key.resource == NAMESPACES and NAMESPACE_FINALIZER in (metadata.get("finalizers") or ()):
        others = [name for name in metadata["finalizers"] if name != NAMESPACE_FINALIZER]
        cleaned = {name: item for name, item in metadata.items() if name != "finalizers"}
        return {**value, "metadata": {**cleaned, "finalizers": others} if others else cleaned}
    return value


def meaning(key: Key, value: Mapping[str, Any]) -> bytes | None:
    """The store's `meaning` where nobody knows better: everything that people write, nothing that controllers do."""
    if key.resource in MEANINGLESS:
        return None
    kept = dict(without_marks(key, value))
    metadata: Mapping[str, Any] = kept.pop("metadata", None) or {}
    kept.pop("status", None)
    said = {name: metadata[name] for name in ("labels", "annotations", "finalizers") if metadata.get(name)}
    return msgspec.json.encode({**kept, "metadata": said}, order="sorted")
