"""What `apply` says, and with --fix adds, when VirtualServices name subsets that nobody defines."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from meshwright.model.meta import Meta
from meshwright.model.objects import MeshObjects
from meshwright.store.names import Resource
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store
from meshwright.wiring.proposals import Proposal, proposals
from meshwright.wiring.seeding import objects_of

T = TypeVar("T", bound=Any)
_RULES = Resource("networking.istio.io", "destinationrules")


async def remedies(
    store: Store, there: MeshObjects, new: MeshObjects, texts: Sequence[tuple[str, str]]
) -> tuple[Proposal, ...]:
    """For the VirtualServices among `new` (which is what `texts` mean), with what is there already beside them."""
    if not new.virtual_services:
        return ()
    around = replace(
        there,
        services=_with(there.services, new.services),
        pods=_with(there.pods, new.pods),
        deployments=_with(there.deployments, new.deployments),
        destination_rules=_with(there.destination_rules, new.destination_rules),
    )
    if not proposals(new.virtual_services, around, {}):
        return ()
    page = await store.list(Query(Scope(_RULES)))
    written = {(version.key.namespace, version.key.name): version.value() for version in page.items}
    declared = {key: value for key, value in objects_of(texts).items() if key.resource == _RULES}
    written |= {(key.namespace, key.name): value for key, value in declared.items()}
    return proposals(new.virtual_services, around, written)


def _with(there: Iterable[T], new: Iterable[T]) -> tuple[T, ...]:
    """Both; new ones instead of those of the same name."""
    fresh = tuple(new)
    names = {_ref(each) for each in fresh}
    return (*(each for each in there if _ref(each) not in names), *fresh)


def _ref(value: Any) -> object:
    meta: Meta = value.meta
    return meta.ref
