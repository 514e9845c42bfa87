"""Namespaces: the ones that always exist, what each holds from the start, and how one goes with all that is in it."""

from collections.abc import Iterable

from meshwright.controllers import pods
from meshwright.controllers.claim import with_metadata
from meshwright.controllers.decision import NOTHING, Decision
from meshwright.controllers.resources import NAMESPACE_FINALIZER, NAMESPACES, PODS, SERVICE_ACCOUNTS
from meshwright.controllers.values import condition, same, timestamp
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import Create, Delete, UpdateStatus, Write

OWNER = Owner("controller/namespace")
NAME_LABEL = "kubernetes.io/metadata.name"
_CONTENT = "NamespaceContentRemaining"
_PORTION = 500  # objects deleted in one transaction


class Namespaces:
    """The controller. `always` are the names of the namespaces that exist in every mesh."""

    name = "namespace"

    def __init__(self, always: Iterable[str]) -> None:
        self.standing = frozenset(Key(NAMESPACES, "", name) for name in always)

    def concerns(self, world: World, thing: Object) -> set[Key]:
        if thing.key.resource == NAMESPACES:
            return {thing.key}
        place = world.get(Key(NAMESPACES, "", thing.namespace)) if thing.namespace else None
        if place is None or (thing.key.resource != SERVICE_ACCOUNTS and not place.leaving):
            return set()
        return {place.key}

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        place = world.get(key)
        if place is None:
            return Decision((Create(key, _new(key.name)),)) if key in self.standing else NOTHING
        if place.leaving:
            return Decision(_emptied(world, place, now))
        return Decision(_kept(world, place))


def _new(name: str) -> Json:
    metadata = {"labels": {NAME_LABEL: name}, "finalizers": [NAMESPACE_FINALIZER]}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _kept(world: World, place: Object) -> tuple[Write, ...]:
    """The finalizer, the phase and the ServiceAccount `default`."""
    writes: list[Write] = []
    if NAMESPACE_FINALIZER not in place.finalizers:
        writes.append(with_metadata(place, "finalizers", [*place.finalizers, NAMESPACE_FINALIZER]))
    if place.status.get("phase") != "Active":
        writes.append(UpdateStatus(place.key, {"phase": "Active"}, OWNER, uid=Uid(place.uid)))
    account = Key(SERVICE_ACCOUNTS, place.name, "default")
    if world.get(account) is None:
        writes.append(Create(account, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}}))
    return tuple(writes)


def _emptied(world: World, place: Object, now: EpochMilliseconds) -> tuple[Write, ...]:
    """Everything in it is deleted; when nothing is left, the namespace may go."""
    content = sorted(world.in_namespace(place.name), key=lambda thing: thing.key)
    if not content:
        others = [name for name in place.finalizers if name != NAMESPACE_FINALIZER]
        return (with_metadata(place, "finalizers", others),) if NAMESPACE_FINALIZER in place.finalizers else ()
    going = [thing for thing in content if not thing.leaving][:_PORTION]
    writes: list[Write] = [
        pods.deleted(thing) if thing.key.resource == PODS else Delete(thing.key, uid=Uid(thing.uid))
        for thing in going
    ]
    status = {"phase": "Terminating", "conditions": [_remaining(place, content, now)]}
    before = {"phase": place.status.get("phase"), "conditions": [condition(place.value, _CONTENT)]}
    if not same(status, before):
        writes.append(UpdateStatus(place.key, status, OWNER, uid=Uid(place.uid)))
    return tuple(writes)


def _remaining(place: Object, content: list[Object], now: EpochMilliseconds) -> Json:
    counts: dict[str, int] = {}
    for thing in content:
        counts[str(thing.key.resource)] = counts.get(str(thing.key.resource), 0) + 1
    before = condition(place.value, _CONTENT)
    return {
        "type": _CONTENT,
        "status": "True",
        "reason": "SomeResourcesRemain",
        "message": "left: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())),
        "lastTransitionTime": before.get("lastTransitionTime") or timestamp(now),
    }
