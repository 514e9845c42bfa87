"""What the history knows of objects' earlier versions, as the mesh reads them."""

from collections.abc import AsyncIterator

from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.virtual_service import VirtualService
from meshwright.status.subjects import key_of
from meshwright.store.history import Change
from meshwright.store.names import ChangeNumber, Resource
from meshwright.store.store import Store
from meshwright.store.version import Body

_MOST_CHANGES = 20
_PAGE = 100
_RULES = Resource("networking.istio.io", "destinationrules")


async def versions(store: Store, ref: ObjectRef) -> list[tuple[int, VirtualService]]:
    """A VirtualService as its last changes made it, newest first, each with the number of the change; 0 for the one
    before the oldest of them. Those that can be read.
    """
    key = key_of(ref)
    found: list[tuple[int, VirtualService]] = []
    oldest: Body | None = None
    for change in await store.changes(_MOST_CHANGES, key):
        for difference in change.differences:
            if difference.key == key:
                found += [(change.number, rule) for rule in _read(difference.after, ref).virtual_services]
                oldest = difference.before
    return found + [(0, rule) for rule in _read(oldest, ref).virtual_services]


async def removed_definitions(store: Store, since: int) -> list[tuple[int, DestinationRule]]:
    """DestinationRules as they were before changes that took subsets out of them, newest first, with the number of
    the change; of changes later than `since`, as far as the history goes back.
    """
    found: list[tuple[int, DestinationRule]] = []
    async for change in _changes(store, since):
        for each in change.differences:
            if each.key.resource == _RULES and each.before is not None:
                after = _read(each.after, each.key).destination_rules
                there = {(rule.host, subset.name) for rule in after for subset in rule.subsets}
                found += [
                    (change.number, rule)
                    for rule in _read(each.before, each.key).destination_rules
                    if any((rule.host, subset.name) not in there for subset in rule.subsets)
                ]
    return found


async def _changes(store: Store, since: int) -> AsyncIterator[Change]:
    before: ChangeNumber | None = None
    while page := await store.changes(_PAGE, None, before):
        for change in page:
            if change.number <= since:
                return
            yield change
        before = page[-1].number


def _read(body: Body | None, name: object) -> MeshObjects:
    if body is None:
        return MeshObjects()
    return read_objects([read(body.text.decode(), str(name))]).objects
