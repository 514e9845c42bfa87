"""The templates that a StatefulSet had: ControllerRevisions, which `kubectl rollout history` and `undo` read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from meshwright.controllers.claim import claim
from meshwright.controllers.decision import reference
from meshwright.controllers.resources import CONTROLLER_REVISIONS
from meshwright.controllers.values import dig, labels_of, map_of, number, plain, same, text_hash
from meshwright.controllers.world import Object, World
from meshwright.store.names import Json, Key, Uid
from meshwright.store.writes import Create, Delete, Update, Write

CAUSE = "kubernetes.io/change-cause"
_HISTORY = 10
_HASH_LABEL = "controller.kubernetes.io/hash"


@dataclass(frozen=True, slots=True)
class History:
    """The revision of the template as it is, the others (oldest first), and the writes that make it so."""

    newest: str
    kept: tuple[Object, ...]
    writes: tuple[Write, ...] = ()

    def template(self, name: str) -> Json | None:
        """The template of a revision by its name; None where it is not kept."""
        found = next((each for each in self.kept if each.name == name), None)
        if found is None:
            return None
        said = map_of(dig(found.value, "data", "spec", "template"))
        return {field: item for field, item in said.items() if field != "$patch"}

    def surplus(self, owner: Object, used: Collection[str]) -> list[Write]:
        """Deletions of the oldest ones that nobody uses, beyond `revisionHistoryLimit`."""
        limit = number(owner.spec.get("revisionHistoryLimit"), _HISTORY)
        idle = [each for each in self.kept if each.name not in used and each.name != self.newest and not each.leaving]
        return [
            Delete(each.key, each.revision, Uid(each.uid)) for each in _in_order(idle)[: max(0, len(idle) - limit)]
        ]


def history(world: World, owner: Object) -> History:
    """The same template again gets the next number, and no second revision: that is what undo does."""
    if owner.leaving:
        return History(str(owner.status.get("updateRevision") or ""), ())
    claimed = claim(world, owner, CONTROLLER_REVISIONS)
    kept = _in_order(claimed.mine)
    if claimed.writes:
        return History("", tuple(kept), claimed.writes)
    data: Json = {"spec": {"template": {**plain(map_of(owner.spec.get("template"))), "$patch": "replace"}}}
    found = next((each for each in kept if same(each.value.get("data"), data)), None)
    last = max((_number(each) for each in kept), default=0)
    if found is None:
        made = _made(world, owner, data, last + 1)
        return History(made.key.name, tuple(kept), (made,))
    if _number(found) < last:
        again = Update(found.key, {**found.value, "revision": last + 1}, found.revision)
        return History(found.name, tuple(kept), (again,))
    return History(found.name, tuple(kept))


def _made(world: World, owner: Object, data: Json, revision: int) -> Create:
    template = owner.spec.get("template")
    mark, salt = text_hash(template), 0
    while world.get(key := Key(CONTROLLER_REVISIONS, owner.namespace, f"{owner.name}-{mark}")) is not None:
        salt += 1  # somebody else has that name
        mark = text_hash([template, salt])
    metadata: Json = {
        "labels": {**labels_of(template), _HASH_LABEL: mark},
        "ownerReferences": [reference(owner)],
    }
    cause = map_of(owner.metadata.get("annotations")).get(CAUSE)
    if cause:
        metadata["annotations"] = {CAUSE: cause}
    value = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": data}
    return Create(key, {**value, "revision": revision})


def _number(revision: Object) -> int:
    return number(revision.value.get("revision"), 0)


def _in_order(revisions: Sequence[Object]) -> list[Object]:
    return sorted(revisions, key=lambda each: (_number(each), each.age))
