"""The objects that the mesh speaks about: traffic and security objects of every Istio group, and Services."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshwright.kinds.table import KINDS
from meshwright.model.origin import ObjectRef
from meshwright.store.names import Json, Key, Resource, Uid
from meshwright.store.version import Version

SERVICES = Resource("", "services")
SUBJECTS: Mapping[Resource, str] = {
    Resource(kind.group, kind.plural): kind.kind
    for kind in KINDS
    if kind.group.endswith((".istio.io", "meshwright.dev")) or kind.kind == "Service"
}
_RESOURCES: Mapping[str, Resource] = {kind: resource for resource, kind in SUBJECTS.items()}


def key_of(ref: ObjectRef) -> Key | None:
    """Where the object is stored; None for a kind that the mesh says nothing about."""
    resource = _RESOURCES.get(ref.kind)
    return None if resource is None else Key(resource, ref.namespace, ref.name)


def ref_of(key: Key) -> ObjectRef:
    """The object as findings name it."""
    return ObjectRef(SUBJECTS.get(key.resource, key.resource.plural), key.namespace, key.name)


def shown(key: Key) -> str:
    """As people write it: VirtualService default/reviews."""
    return str(ref_of(key))


@dataclass(frozen=True, slots=True)
class Subject:
    """One version of an object. `text` is its body as stored, `status` what stands there now (read it, never change
    it). `change` is the number of the change that made this generation, 0 when it is from before this start.
    """

    key: Key
    uid: Uid
    generation: int
    change: int
    text: bytes = field(repr=False)
    status: Json = field(repr=False)

    @classmethod
    def of(cls, version: Version, change: int) -> "Subject":
        metadata: Json = version.body.value()["metadata"]
        status = version.status.value() if version.status is not None else {}
        generation = int(metadata.get("generation") or 0)
        return cls(version.key, version.uid, generation, change, version.body.text, status)

    @property
    def was_live(self) -> bool:
        """Whether its status says that this very generation is live."""
        conditions: list[Json] = self.status.get("conditions") or []
        return any(
            each.get("type") == "Live"
            and each.get("status") == "True"
            and each.get("observedGeneration") == self.generation
            for each in conditions
        )
