"""The ReplicaSets of a Deployment: which one has its template, their revision numbers, and how many are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshwright.controllers import pods
from meshwright.controllers.decision import reference
from meshwright.controllers.replica_sets import min_ready_seconds, pods_of, replicas
from meshwright.controllers.resources import REPLICA_SETS, REVISION
from meshwright.controllers.values import annotations_of, dig, labels_of, map_of, number, plain, same, text_hash
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Uid
from meshwright.store.writes import Create, Delete, Update, Write

HASH_LABEL = "pod-template-hash"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset({
    "kubectl.kubernetes.io/last-applied-configuration", "deprecated.deployment.rollback.to",
    REVISION, REVISION_HISTORY, DESIRED, MAX,
})  # fmt: skip
_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Generation:
    """One ReplicaSet of a Deployment and how its pods are doing. `alive` also counts those that end."""

    set: Object
    counts: pods.Counts
    alive: int

    @property
    def size(self) -> int:
        """How many pods it asks for."""
        return replicas(self.set)

    @property
    def kept_available(self) -> int:
        """Available pods that stay once it has as many as it asks for: it lets the others go first."""
        return min(self.counts.available, self.size)


def generation(world: World, thing: Object, now: EpochMilliseconds) -> Generation:
    """A ReplicaSet with its pods counted."""
    mine = pods_of(world, thing)
    alive = sum(1 for pod in mine if not pods.is_finished(pod))
    return Generation(thing, pods.count(mine, min_ready_seconds(thing), now), alive)


@dataclass(frozen=True, slots=True)
class Generations:
    """The one with the Deployment's template, if there is one, and all others, oldest first."""

    new: Generation | None
    old: tuple[Generation, ...]

    @property
    def all(self) -> tuple[Generation, ...]:
        return (*self.old, self.new) if self.new is not None else self.old


def generations(deployment: Object, found: Sequence[Generation]) -> Generations:
    """`found` is sorted from oldest to newest; of several with the same template the oldest is the one."""
    template = deployment.spec.get("template")
    new = next((each for each in found if same(_without_hash(each.set.spec.get("template")), _bare(template))), None)
    return Generations(new, tuple(each for each in found if each is not new))


def _without_hash(template: object) -> Json:
    value = _bare(template)
    labels = {name: text for name, text in labels_of(value).items() if name != HASH_LABEL}
    metadata = {**map_of(value.get("metadata")), "labels": labels}
    return _bare({**value, "metadata": metadata})


def _bare(template: object) -> Json:
    """Empty labels, annotations and metadata are the same as none."""
    value = plain(map_of(template))
    metadata = {name: item for name, item in map_of(value.get("metadata")).items() if item}
    rest = {name: item for name, item in value.items() if name != "metadata"}
    return {**rest, "metadata": metadata} if metadata else rest


def revision_of(thing: Object) -> int:
    """Its number in the rollout history; 0 where it has none."""
    text = annotations_of(thing.value).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def next_revision(gens: Generations) -> str:
    """Of the template that is rolled out: one more than all others, or what it is already."""
    after_others = max((revision_of(each.set) for each in gens.old), default=0) + 1
    own = revision_of(gens.new.set) if gens.new is not None else 0
    return str(max(after_others, own))


def annotations(deployment: Object, revision: str, sizes: tuple[int, int], before: Object | None = None) -> Json:
    """Of a new ReplicaSet: the Deployment's (change-cause among them) and the bookkeeping of the rollout.

    `sizes` are the pods desired, and the most there may be. `before` is the ReplicaSet as it is.
    """
    old = annotations_of(before.value if before is not None else None)
    kept = {name: old[name] for name in (REVISION_HISTORY,) if name in old}
    was = old.get(REVISION)
    if was and was != revision:
        past = [*filter(None, kept.get(REVISION_HISTORY, "").split(",")), was][-_HISTORY:]
        kept[REVISION_HISTORY] = ",".join(past)
    copied = {name: text for name, text in annotations_of(deployment.value).items() if name not in _NOT_COPIED}
    return {**copied, **kept, REVISION: revision, **size_marks(sizes)}


def size_marks(sizes: tuple[int, int]) -> Json:
    """What proportional scaling starts from."""
    return {DESIRED: str(sizes[0]), MAX: str(sizes[1])}


def new_set(world: World, deployment: Object, marks: Json, size: int) -> Create:
    """A ReplicaSet for the Deployment's template. Its name ends with the template's hash, which is also a label."""
    template = plain(map_of(deployment.spec.get("template")))
    mark = text_hash(_bare(template))
    salt = 0
    while world.get(key := Key(REPLICA_SETS, deployment.namespace, f"{deployment.name}-{mark}")) is not None:
        salt += 1  # somebody else has that name: as Kubernetes does with its count of collisions
        mark = text_hash([_bare(template), salt])
    labels = {**labels_of(template), HASH_LABEL: mark}
    selector = map_of(deployment.spec.get("selector"))
    chosen = {**map_of(selector.get("matchLabels")), HASH_LABEL: mark}
    spec: Json = {
        "replicas": size,
        "selector": {**selector, "matchLabels": chosen},
        "template": {**template, "metadata": {**map_of(template.get("metadata")), "labels": labels}},
    }
    if min_ready_seconds(deployment):
        spec["minReadySeconds"] = min_ready_seconds(deployment)
    metadata = {"labels": labels, "annotations": marks, "ownerReferences": [reference(deployment)]}
    return Create(key, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})


def changed(thing: Object, *, size: int | None = None, marks: Json | None = None, ready_seconds: int | None = None
            ) -> Update | None:  # fmt: skip
    """A ReplicaSet with another size, annotations or readiness time; None where that is what it has."""
    spec = dict(thing.spec)
    if size is not None:
        spec["replicas"] = size
    if ready_seconds is not None and ready_seconds != min_ready_seconds(thing):
        spec["minReadySeconds"] = ready_seconds
    metadata = {**thing.metadata, "annotations": marks} if marks is not None else thing.metadata
    if same(spec, thing.spec) and same(metadata, thing.metadata):
        return None
    return Update(thing.key, {**thing.value, "metadata": metadata, "spec": spec}, thing.revision)


def outdated(deployment: Object, gens: Generations) -> list[Write]:
    """The old ReplicaSets without pods that go beyond `revisionHistoryLimit`."""
    limit = number(dig(deployment.spec, "revisionHistoryLimit"), _HISTORY)
    idle = [each for each in gens.old if not each.size and not each.alive and not each.set.leaving]
    surplus = sorted(idle, key=lambda each: revision_of(each.set))[: max(0, len(idle) - limit)]
    return [Delete(each.set.key, each.set.revision, Uid(each.set.uid)) for each in surplus]
