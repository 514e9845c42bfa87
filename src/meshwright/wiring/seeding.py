"""The documents that `up` was given become objects of the store, as one change; what is there already stays."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, cast

from meshwright.apiserver.defaults import with_defaults
from meshwright.documents.document import Document
from meshwright.documents.reader import read
from meshwright.kinds.table import KINDS, Kind
from meshwright.store.errors import FieldRefusedError
from meshwright.store.names import Author, Key, Owner, Resource
from meshwright.store.store import Store
from meshwright.store.writes import Create, Update, UpdateStatus, Write
from meshwright.wiring.host_ports import with_host_ports
from meshwright.wiring.run_file import Forward
from meshwright.wiring.write_rules import missing_namespaces

LOG = logging.getLogger(__name__)
AUTHOR = Author("meshwright up")
OWNER = Owner("up")
PODS = Resource("", "pods")
_KINDS = {(api_version, kind.kind): kind for kind in KINDS for api_version in kind.api_versions}


def fingerprint(texts: Iterable[tuple[str, str]]) -> str:
    """Equal for equal texts: a mesh that starts again with what it was given does not undo what was changed since."""
    return blake2b(json.dumps(list(texts)).encode(), digest_size=16).hexdigest()


def objects_of(texts: Iterable[tuple[str, str]]) -> dict[Key, dict[str, Any]]:
    """Every object as it is stored: as declared, and what its kind fills in beside that."""
    return {key: with_defaults(value, str(value["kind"])) for key, value in declared_in(texts).items()}


def declared_in(texts: Iterable[tuple[str, str]]) -> dict[Key, dict[str, Any]]:
    """Every object of a kind that the mesh reads, also those that readers refuse: they report them, and broken
    security objects take effect by failing closed. Of several documents for one object the oldest counts, then the
    one whose text sorts first, as with files.
    """
    found: dict[Key, dict[str, Any]] = {}
    documents = [document for file, text in texts for document in read(text, file).documents]
    for document in sorted(documents, key=_rank):
        kind = _KINDS.get((str(document.value.get("apiVersion")), document.ref.kind))
        if kind is not None:
            found.setdefault(_key(kind, document), _value(kind, document))
    return found


async def seed(
    store: Store, texts: Iterable[tuple[str, str]], message: str, forwards: Sequence[Forward] = ()
) -> None:
    """Write what differs, as one change. A Service whose cluster IP another one has gets an address of its own: what
    can be used is used, as with everything else that `up` is given.
    """
    objects = with_host_ports(objects_of(texts), forwards)
    writes: list[Write] = [*await missing_namespaces(store, objects)]
    for key, value in objects.items():
        kept = await store.find(key)
        writes.append(Create(key, value) if kept is None else Update(key, value))
        if key.resource == PODS and (address := _address(value)):
            writes.append(UpdateStatus(key, {"podIP": address}, OWNER))
    freed: set[Key] = set()
    while writes:
        try:
            await store.transact(writes, AUTHOR, message)
        except FieldRefusedError as refused:
            if refused.key in freed:
                raise
            freed.add(refused.key)
            LOG.warning("%s: another address is used", refused)
            writes = [_without_address(write) if write.key == refused.key else write for write in writes]
        else:
            return


def _without_address(write: Write) -> Write:
    if not isinstance(write, Create | Update):
        return write
    spec = {name: item for name, item in write.value["spec"].items() if name not in ("clusterIP", "clusterIPs")}
    return replace(write, value={**write.value, "spec": spec})


def _address(value: dict[str, Any]) -> str:
    """The address that a pod's document has in its status."""
    status: object = value.get("status")
    return str(cast("dict[str, Any]", status).get("podIP") or "") if isinstance(status, dict) else ""


def _rank(document: Document) -> tuple[bool, str, str]:
    metadata = document.value.get("metadata")
    created = str(metadata.get("creationTimestamp") or "") if isinstance(metadata, dict) else ""
    return (not created, created, json.dumps(document.value, sort_keys=True, default=str))


def _key(kind: Kind, document: Document) -> Key:
    return Key(
        Resource(kind.group, kind.plural), document.ref.namespace if kind.namespaced else "", document.ref.name
    )


def _value(kind: Kind, document: Document) -> dict[str, Any]:
    """The document with its namespace filled in, in the version that is stored."""
    value = dict(document.value)
    metadata = value.get("metadata")
    own: dict[str, Any] = dict(metadata) if isinstance(metadata, dict) else {}
    own["name"] = document.ref.name
    if kind.namespaced:
        own["namespace"] = document.ref.namespace
    stored = f"{kind.group}/{kind.storage}" if kind.group else kind.storage
    made: dict[str, Any] = {**value, "apiVersion": stored, "kind": kind.kind, "metadata": own}
    return with_defaults(made, kind.kind) if kind.kind == "Secret" else made  # `stringData` is only ever written
