"""The namespaces that every mesh has from the start."""

from collections.abc import Iterable

from meshwright.apiserver.defaults import with_defaults
from meshwright.store.errors import AlreadyExistsError
from meshwright.store.names import Author, Key, Owner, Resource
from meshwright.store.store import Store
from meshwright.store.writes import Create, UpdateStatus

ALWAYS = ("default", "istio-system", "kube-system")


async def ensure_namespaces(store: Store, names: Iterable[str] = ALWAYS) -> None:
    """Makes those that are not there. Raises StoreError."""
    for name in names:
        key = Key(Resource("", "namespaces"), "", name)
        if await store.find(key) is not None:
            continue
        value = with_defaults({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "Namespace")
        try:
            writes = (Create(key, value), UpdateStatus(key, {"phase": "Active"}, Owner("apiserver")))
            await store.transact(writes, Author("meshwright"), "the namespaces of every mesh")
        except AlreadyExistsError:
            continue
