"""What holds for every write of a person, whoever sends it: `mw apply` and `mw delete` as the object API.

An object needs its namespace, and one that is leaving takes nothing new; fields that may not change do not; two
namespaces cannot be deleted; pods get their time of grace.
"""

from collections.abc import Iterable, Mapping

from meshwright.apiserver.defaults import with_defaults
from meshwright.apiserver.deleting import IMMORTAL, POD_GRACE_SECONDS
from meshwright.apiserver.immutable import immutable_errors
from meshwright.apiserver.values import dig
from meshwright.kinds.table import KINDS
from meshwright.store.errors import InvalidError
from meshwright.store.names import Json, Key, Resource
from meshwright.store.store import Store
from meshwright.store.writes import Create, Delete, Write

NAMESPACES = Resource("", "namespaces")
PODS = Resource("", "pods")
_KINDS: Mapping[Resource, str] = {Resource(kind.group, kind.plural): kind.kind for kind in KINDS}
_ENDED = ("Succeeded", "Failed")


async def missing_namespaces(store: Store, keys: Iterable[Key]) -> list[Create]:
    """The namespaces that these objects need and that are neither there nor among them.

    Raises InvalidError where one is on its way out.
    """
    wanted = list(keys)
    made = {key.name for key in wanted if key.resource == NAMESPACES}
    missing: list[Create] = []
    for name in sorted({key.namespace for key in wanted if key.namespace} - made):
        found = await store.find(Key(NAMESPACES, "", name))
        if found is None:
            value: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            missing.append(Create(Key(NAMESPACES, "", name), with_defaults(value, "Namespace")))
        elif "deletionTimestamp" in found.value()["metadata"]:
            raise InvalidError(f"the namespace {name} is being deleted and takes nothing new: wait until it is gone")
    return missing


def check_fixed_fields(key: Key, before: Json, after: Json) -> None:
    """Raises InvalidError with every field that may not change and does."""
    found = list(immutable_errors(before, after, _KINDS.get(key.resource, "")))
    if found:
        told = "; ".join(f"{error.path}: {error.message}" for error in found)
        raise InvalidError(f"{key}: {told}. Delete the object first, or keep the field as it is")


def is_immortal(write: Write) -> bool:
    """Whether it would delete a namespace that every mesh has."""
    return isinstance(write, Delete) and write.key.resource == NAMESPACES and write.key.name in IMMORTAL


async def deletion(store: Store, key: Key) -> Delete:
    """How an object goes. Raises InvalidError for what cannot be deleted, NotFoundError where nothing is there."""
    write = Delete(key)
    if is_immortal(write):
        raise InvalidError(f"the namespace {key.name} cannot be deleted: every mesh has it; delete what is in it")
    if key.resource != PODS:
        return write
    return Delete(key, grace_seconds=_grace((await store.get(key)).value()))


def _grace(pod: Json) -> int:
    """Seconds; none for a pod that runs nowhere or has ended."""
    if not dig(pod, "spec", "nodeName") or dig(pod, "status", "phase") in _ENDED:
        return 0
    own = dig(pod, "spec", "terminationGracePeriodSeconds")
    return own if isinstance(own, int) and own > 0 else POD_GRACE_SECONDS
