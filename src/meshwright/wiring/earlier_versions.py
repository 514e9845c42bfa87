"""What the history knows of an object's earlier versions, as the mesh reads them."""

from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects
from meshwright.model.origin import ObjectRef
from meshwright.model.virtual_service import VirtualService
from meshwright.status.subjects import key_of
from meshwright.store.store import Store

_MOST_CHANGES = 20


async def versions_before(store: Store, ref: ObjectRef) -> list[VirtualService]:
    """A VirtualService as it was before each of its last changes, newest first; those that can be read."""
    key = key_of(ref)
    found: list[VirtualService] = []
    for change in await store.changes(_MOST_CHANGES, key):
        for difference in change.differences:
            if difference.key == key and difference.before is not None:
                loaded = read_objects([read(difference.before.text.decode(), str(ref))])
                found += loaded.objects.virtual_services
    return found
