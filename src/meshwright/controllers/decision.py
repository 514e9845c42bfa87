"""What a controller is: a pure decision about one object, and which objects concern it."""

from dataclasses import dataclass
from typing import Protocol

from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key
from meshwright.store.writes import Write

NO_KEYS: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell the people about an object: it becomes an Event. `reason` is one word in upper camel case.
    `topic` is what makes it the same as before, where the message does not.
    """

    about: Object
    reason: str
    message: str
    component: str
    warning: bool = False
    part: str = ""  # field path, e.g. spec.containers{web}
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """All writes go into one transaction. `again` is when to look once more though nothing has changed."""

    writes: tuple[Write, ...] = ()
    happenings: tuple[Happening, ...] = ()
    again: EpochMilliseconds | None = None


NOTHING = Decision()


class Controller(Protocol):
    """`decide` reads the world and writes nothing; the same world and time give the same decision."""

    @property
    def name(self) -> str:
        """As its author is named in the store: `controller/<name>`."""
        ...

    @property
    def standing(self) -> frozenset[Key]:
        """What it looks at from the start, whatever there is."""
        ...

    def concerns(self, world: World, thing: Object) -> set[Key]:
        """The objects to decide about anew because this one has changed (called with before and after)."""
        ...

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        """What follows for one object; it may be gone."""
        ...


def earlier(one: EpochMilliseconds | None, other: EpochMilliseconds | None) -> EpochMilliseconds | None:
    """The first of two times, of which each may be never."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def reference(owner: Object, *, controller: bool = True) -> Json:
    """A reference to an owner, as its dependents carry it."""
    made: Json = {
        "apiVersion": owner.value.get("apiVersion"),
        "kind": owner.value.get("kind"),
        "name": owner.name,
        "uid": owner.uid,
    }
    return {**made, "controller": True, "blockOwnerDeletion": True} if controller else made
