"""All objects as of one revision, found by kind, namespace, uid and owner: what every decision reads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from meshwright.controllers.resources import READ_WHOLE
from meshwright.controllers.values import condition, dig, list_of, map_of, moment, number
from meshwright.store.names import EpochMilliseconds, Json, Key, Resource, Revision
from meshwright.store.version import Event, EventType, Version

Clock = Callable[[], EpochMilliseconds]


class _Head(msgspec.Struct):
    apiVersion: str = ""  # noqa: N815 - as on the wire
    kind: str = ""
    metadata: dict[str, Any] = {}


_heads = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Object:
    """One object. `value` is shared: read it, never change it. Of kinds that are not read whole it has no spec.

    What is asked again and again of hundreds of pods is read once: the reference to the owner that manages it, the
    sort key `age` (oldest first), and `ready_since`, None where the condition Ready does not hold.
    """

    key: Key
    revision: Revision
    uid: str
    value: Json = field(repr=False)
    metadata: Json = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)
    controller: Json | None = field(repr=False)
    age: tuple[EpochMilliseconds, str] = field(repr=False)
    ready_since: EpochMilliseconds | None = field(repr=False)
    phase: str = field(repr=False)

    @classmethod
    def of(cls, version: Version) -> "Object":
        value = _value(version)
        metadata = map_of(value.get("metadata"))
        ready = condition(value, "Ready")
        owners = map(map_of, list_of(metadata.get("ownerReferences")))
        return cls(
            key=version.key,
            revision=version.revision,
            uid=version.uid,
            value=value,
            metadata=metadata,
            labels=map_of(metadata.get("labels")),
            controller=next((owner for owner in owners if owner.get("controller") is True), None),
            age=(moment(metadata.get("creationTimestamp")), version.key.name),
            ready_since=moment(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None,
            phase=str(dig(value, "status", "phase") or ""),
        )

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def spec(self) -> Json:
        return map_of(self.value.get("spec"))

    @property
    def status(self) -> Json:
        return map_of(self.value.get("status"))

    @property
    def generation(self) -> int:
        return number(self.metadata.get("generation"), 0)

    @property
    def leaving(self) -> bool:
        """Marked for deletion."""
        return "deletionTimestamp" in self.metadata

    @property
    def created(self) -> EpochMilliseconds:
        return self.age[0]

    @property
    def finalizers(self) -> list[Any]:
        return list_of(self.metadata.get("finalizers"))

    @property
    def owners(self) -> list[Json]:
        return [map_of(owner) for owner in list_of(self.metadata.get("ownerReferences"))]


def _value(version: Version) -> Json:
    if version.key.resource in READ_WHOLE:
        return version.value()
    head = _heads.decode(version.body.text)
    return {"apiVersion": head.apiVersion, "kind": head.kind, "metadata": head.metadata}


class World:
    """For one thread. It is always as of `revision`: take the events in their order."""

    def __init__(self) -> None:
        self.revision = Revision(0)
        self._places: dict[tuple[Resource, str], dict[str, Object]] = {}
        self._uids: dict[str, Key] = {}
        self._owned: dict[str, set[Key]] = {}

    def put(self, thing: Object) -> Object | None:
        """Take an object; the one that was there before."""
        before = self.remove(thing.key)
        self._places.setdefault((thing.key.resource, thing.namespace), {})[thing.name] = thing
        self._uids[thing.uid] = thing.key
        for owner in thing.owners:
            self._owned.setdefault(str(owner.get("uid")), set()).add(thing.key)
        return before

    def remove(self, key: Key) -> Object | None:
        """Forget an object; what it was."""
        place = self._places.get((key.resource, key.namespace), {})
        before = place.pop(key.name, None)
        if before is None:
            return None
        if not place:
            del self._places[key.resource, key.namespace]
        self._uids.pop(before.uid, None)
        for owner in before.owners:
            owned = self._owned.get(str(owner.get("uid")), set())
            owned.discard(key)
            if not owned:
                self._owned.pop(str(owner.get("uid")), None)
        return before

    def apply(self, event: Event) -> tuple[Object | None, Object | None]:
        """One step: the object before and after it."""
        self.revision = event.version.revision
        if event.type is EventType.DELETED:
            return self.remove(event.version.key), None
        after = Object.of(event.version)
        return self.put(after), after

    def get(self, key: Key | None) -> Object | None:
        if key is None:
            return None
        return self._places.get((key.resource, key.namespace), {}).get(key.name)

    def with_uid(self, uid: object) -> Object | None:
        return self.get(self._uids.get(str(uid)))

    def of(self, resource: Resource, namespace: str | None = None) -> Iterator[Object]:
        """Of one kind, in one namespace or in all, in no order that means anything."""
        if namespace is not None:
            yield from self._places.get((resource, namespace), {}).values()
            return
        for (kind, _), things in self._places.items():
            if kind == resource:
                yield from things.values()

    def size(self, resource: Resource, namespace: str) -> int:
        """How many there are of a kind in a namespace."""
        return len(self._places.get((resource, namespace), ()))

    def in_namespace(self, namespace: str) -> Iterator[Object]:
        """Everything in one namespace."""
        for (_, place), things in self._places.items():
            if place == namespace:
                yield from things.values()

    def everything(self) -> Iterator[Object]:
        for things in self._places.values():
            yield from things.values()

    def dependents(self, uid: str) -> list[Object]:
        """Objects with a reference to this owner, in no order that means anything."""
        return [thing for key in self._owned.get(uid, ()) if (thing := self.get(key)) is not None]

    def controlled(self, owner: Object, resource: Resource) -> list[Object]:
        """Objects of one kind that this owner manages, oldest first."""
        found = (thing for thing in self.dependents(owner.uid) if thing.key.resource == resource)
        mine = [thing for thing in found if thing.controller is not None and thing.controller.get("uid") == owner.uid]
        return sorted(mine, key=_age)


def _age(thing: Object) -> tuple[EpochMilliseconds, str]:
    return thing.age
