"""Garbage: dependents follow their owners, before them or after them, or stay behind as orphans."""

from meshwright.controllers import pods
from meshwright.controllers.claim import with_metadata, with_owners
from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision
from meshwright.controllers.resources import PODS
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Uid
from meshwright.store.writes import Delete, Write

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_PORTION = 500  # dependents in one transaction


class Garbage:
    """The controller. It looks at objects that have owners, and at owners that are being deleted."""

    name = "garbage"
    standing = NO_KEYS

    def concerns(self, world: World, thing: Object) -> set[Key]:
        found = {each.key for each in world.dependents(thing.uid)}
        for owner in thing.owners:
            present = world.with_uid(owner.get("uid"))
            if present is not None and present.leaving:
                found.add(present.key)
        if thing.owners or (thing.leaving and thing.finalizers):
            found.add(thing.key)
        return found

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        del now
        thing = world.get(key)
        if thing is None:
            return NOTHING
        if thing.leaving:
            return Decision(tuple(_released(world, thing)))
        return Decision(tuple(_orphaned(world, thing))) if thing.owners else NOTHING


def _released(world: World, owner: Object) -> list[Write]:
    """What a marked owner waits for: its dependents let go, or gone."""
    dependents = sorted(world.dependents(owner.uid), key=lambda thing: thing.key)
    if ORPHAN in owner.finalizers:
        return [_freed(each, owner) for each in dependents[:_PORTION]] or [_without(owner, ORPHAN)]
    if FOREGROUND not in owner.finalizers:
        return []
    steps = [
        _deletion(world, each) if _may_go(world, each, owner) else _freed(each, owner)
        for each in dependents
        if not each.leaving
    ]
    if steps:
        return steps[:_PORTION]
    return [] if any(_blocks(each, owner) for each in dependents) else [_without(owner, FOREGROUND)]


def _freed(thing: Object, owner: Object) -> Write:
    """It forgets this owner."""
    return with_owners(thing, [each for each in thing.owners if each.get("uid") != owner.uid])


def _may_go(world: World, thing: Object, owner: Object) -> bool:
    """It has no other owner that stays."""
    others = (world.with_uid(each.get("uid")) for each in thing.owners if each.get("uid") != owner.uid)
    return not any(other is not None and not _is_going(other) for other in others)


def _is_going(owner: Object) -> bool:
    return owner.leaving and FOREGROUND in owner.finalizers


def _blocks(thing: Object, owner: Object) -> bool:
    """Whether the owner has to wait for it."""
    return any(each.get("uid") == owner.uid and each.get("blockOwnerDeletion") is True for each in thing.owners)


def _orphaned(world: World, thing: Object) -> list[Write]:
    """Without any of its owners it goes; with some, it forgets those that are gone."""
    present = [each for each in thing.owners if _owner(world, thing, each) is not None]
    if len(present) == len(thing.owners):
        return []
    if not present:
        return [_deletion(world, thing, foreground=False)]
    return [with_owners(thing, present)]


def _owner(world: World, thing: Object, reference: Json) -> Object | None:
    """The owner by its uid, which must be in the same namespace or in none."""
    found = world.with_uid(reference.get("uid"))
    return found if found is not None and found.namespace in ("", thing.namespace) else None


def _deletion(world: World, thing: Object, *, foreground: bool = True) -> Delete:
    """A dependent that has dependents itself goes the same way as its owner."""
    if thing.key.resource == PODS:
        return pods.deleted(thing)
    finalizers = (FOREGROUND,) if foreground and world.dependents(thing.uid) else ()
    return Delete(thing.key, uid=Uid(thing.uid), finalizers=finalizers)


def _without(thing: Object, finalizer: str) -> Write:
    return with_metadata(thing, "finalizers", [name for name in thing.finalizers if name != finalizer])
