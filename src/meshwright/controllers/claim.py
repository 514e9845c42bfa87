"""Who manages what: objects that a selector finds and nobody manages are adopted, others are let go."""

from dataclasses import dataclass
from typing import Any

from meshwright.controllers.decision import Happening, reference
from meshwright.controllers.values import dig, labels_of, selects
from meshwright.controllers.world import Object, World
from meshwright.store.names import Json, Key, Resource
from meshwright.store.writes import Update, Write


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an owner manages (oldest first), and the writes that make it so."""

    mine: tuple[Object, ...]
    writes: tuple[Write, ...] = ()


def claim(world: World, owner: Object, resource: Resource) -> Claimed:
    """By `spec.selector` of the owner. One that is being deleted adopts nothing."""
    selector = owner.spec.get("selector")
    mine: list[Object] = []
    writes: list[Write] = []
    for thing in world.controlled(owner, resource):
        if selects(selector, thing.labels) or thing.leaving or owner.leaving:
            mine.append(thing)
        else:
            writes.append(with_owners(thing, [each for each in thing.owners if each.get("uid") != owner.uid]))
    if not owner.leaving:
        orphans = [thing for thing in world.of(resource, owner.namespace) if _is_orphan(thing, selector)]
        writes += [
            with_owners(orphan, [*orphan.owners, reference(owner)])
            for orphan in sorted(orphans, key=lambda thing: thing.age)
        ]
    return Claimed(tuple(mine), tuple(writes))


def _is_orphan(thing: Object, selector: object) -> bool:
    return selects(selector, thing.labels) and thing.controller is None and not thing.leaving


def fits_itself(owner: Object) -> bool:
    """Whether its selector finds what its template makes: else it would make more and more of it."""
    return selects(owner.spec.get("selector"), labels_of(owner.spec.get("template")))


def misfit(owner: Object, component: str) -> Happening:
    """To tell that it does not."""
    said = "spec.selector does not select the labels of spec.template: nothing is done for it"
    return Happening(owner, "SelectorMismatch", said, component, warning=True)


def with_owners(thing: Object, owners: list[Json]) -> Update:
    """The object with other owners, if it is still the one that was seen."""
    return with_metadata(thing, "ownerReferences", owners)


def with_metadata(thing: Object, name: str, value: Any) -> Update:
    """The object with one member of its metadata replaced, or left out where the value is empty."""
    metadata = {field: item for field, item in thing.metadata.items() if field != name}
    if value:
        metadata[name] = value
    return Update(thing.key, {**thing.value, "metadata": metadata}, thing.revision)


def owners_concerned(world: World, thing: Object, resource: Resource) -> set[Key]:
    """The objects of a kind that manage a thing, or might adopt it."""
    if thing.controller is not None:
        owner = world.with_uid(thing.controller.get("uid"))
        return {owner.key} if owner is not None and owner.key.resource == resource else set()
    possible = world.of(resource, thing.namespace)
    return {each.key for each in possible if selects(dig(each.spec, "selector"), thing.labels)}
