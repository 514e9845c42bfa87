"""What the tests of the store share: a clock and uids that can be foretold, and small objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from meshwright.store.names import Author, EpochMilliseconds, Json, Key, Resource, Uid
from meshwright.store.sources import Sources
from meshwright.store.version import Event, EventType, Version

SERVICES = Resource("", "services")
ROUTES = Resource("networking.istio.io", "virtualservices")
SECRETS = Resource("", "secrets")
NODES = Resource("", "nodes")
ANNA = Author("anna")
START = 1_800_000_000_000


@dataclass
class Chance:
    """A clock that stands still until it is moved, uids and suffixes in a row."""

    now: int = START
    suffixes: Sequence[str] = ()
    _uids: "count[int]" = field(default_factory=lambda: count(1))
    _suffix: "count[int]" = field(default_factory=lambda: count(0))

    def sources(self) -> Sources:
        return Sources(
            now=lambda: EpochMilliseconds(self.now), uid=lambda: Uid(f"uid-{next(self._uids)}"), suffix=self._next
        )

    def _next(self) -> str:
        number = next(self._suffix)
        return self.suffixes[number] if number < len(self.suffixes) else f"n{number}"


def key(name: str = "a", namespace: str = "default", resource: Resource = ROUTES) -> Key:
    return Key(resource, namespace, name)


def value(spec: Any = 1, labels: Mapping[str, object] | None = None, **metadata: Any) -> Json:
    """An object with a spec; its name is put in by the store."""
    if labels is not None:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, "spec": {"x": spec}}


def spec(version: Version) -> Any:
    return version.value()["spec"]["x"]


def meta(version: Version) -> Json:
    return version.value()["metadata"]


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Types and names."""
    return [(str(event.type), event.version.key.name) for event in events]


def replay(objects: dict[Key, Version], events: Sequence[Event]) -> None:
    """Do to `objects` what a client does that watches; every step must fit what it knows."""
    for event in events:
        at = event.version.key
        assert (at in objects) is (event.type is not EventType.ADDED)
        if event.type is EventType.DELETED:
            del objects[at]
        else:
            objects[at] = event.version
