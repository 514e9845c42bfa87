"""StatefulSets: pods with numbers, made from the first to the last and replaced from the last to the first."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshwright.controllers import pods
from meshwright.controllers.claim import claim, fits_itself, misfit, owners_concerned
from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision
from meshwright.controllers.replica_sets import min_ready_seconds, replicas
from meshwright.controllers.resources import CONTROLLER_REVISIONS, PODS, STATEFUL_SETS
from meshwright.controllers.template_history import History, history
from meshwright.controllers.values import compact, dig, map_of, number, same
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import Create, UpdateStatus, Write

OWNER = Owner("controller/statefulset")
REVISION_LABEL = "controller-revision-hash"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A StatefulSet, its pods by number, and the templates it had."""

    owner: Object
    mine: dict[int, Object]
    history: History
    now: EpochMilliseconds

    @property
    def revision(self) -> str:
        """The name of the template as it is."""
        return self.history.newest

    @property
    def current(self) -> str:
        """The name of the template that was rolled out last."""
        return str(self.owner.status.get("currentRevision") or self.revision)

    @property
    def partition(self) -> int:
        """The first number that gets a new template."""
        return self.first + number(dig(self.owner.spec, "updateStrategy", "rollingUpdate", "partition"), 0)

    @property
    def first(self) -> int:
        return max(0, number(dig(self.owner.spec, "ordinals", "start"), 0))

    @property
    def wanted(self) -> range:
        return range(self.first, self.first + replicas(self.owner))

    @property
    def parallel(self) -> bool:
        return self.owner.spec.get("podManagementPolicy") == "Parallel"

    def works(self, pod: Object) -> bool:
        """Active and available."""
        since = pods.available_from(pod, min_ready_seconds(self.owner))
        return pods.is_active(pod) and since is not None and since <= self.now

    def is_new(self, pod: Object) -> bool:
        return pod.labels.get(REVISION_LABEL) == self.revision


class StatefulSets:
    """The controller."""

    name = "statefulset"
    standing = NO_KEYS

    def concerns(self, world: World, thing: Object) -> set[Key]:
        if thing.key.resource == STATEFUL_SETS:
            return {thing.key}
        if thing.key.resource == CONTROLLER_REVISIONS:
            return owners_concerned(world, thing, STATEFUL_SETS)
        if thing.key.resource != PODS:
            return set()
        # also where the pod is somebody else's: it may have the name that one of ours waits for
        namesake = Key(STATEFUL_SETS, thing.namespace, thing.name.rpartition("-")[0])
        return owners_concerned(world, thing, STATEFUL_SETS) | ({namesake} if world.get(namesake) else set())

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        owner = world.get(key)
        if owner is None:
            return NOTHING
        if not fits_itself(owner):
            return Decision(happenings=(misfit(owner, "statefulset-controller"),))
        claimed = claim(world, owner, PODS)
        if claimed.writes:
            return Decision(claimed.writes)
        past = history(world, owner)
        if past.writes:
            return Decision(past.writes)
        numbered = {index: pod for pod in claimed.mine if (index := _index(owner, pod)) is not None}
        seen = _Seen(owner, numbered, past, now)
        writes = [] if owner.leaving else _steps(world, seen)
        if not writes and not owner.leaving:
            used = {seen.current, *(pod.labels.get(REVISION_LABEL, "") for pod in claimed.mine)}
            writes += past.surplus(owner, used)
        counts = pods.count(numbered.values(), min_ready_seconds(owner), now)
        status = _status(seen, counts)
        if not same(status, {name: item for name, item in owner.status.items() if name != "conditions"}):
            writes.append(UpdateStatus(key, status, OWNER, uid=Uid(owner.uid)))
        return Decision(tuple(writes), again=counts.again)


def _index(owner: Object, pod: Object) -> int | None:
    prefix, _, last = pod.name.rpartition("-")
    return int(last) if prefix == owner.name and last.isdigit() else None


def _steps(world: World, seen: _Seen) -> list[Write]:
    """One step where the order matters, all of them where it does not."""
    ended = [pod for pod in seen.mine.values() if pods.is_finished(pod) and not pod.leaving]
    if ended:
        return [pods.deleted(pod) for pod in ended]
    steps = [*_missing(world, seen), *_surplus(seen)]
    if steps and not seen.parallel:
        return steps[:1]
    return list(steps or _replaced(seen))


def _missing(world: World, seen: _Seen) -> list[Write]:
    """New pods. In order, each waits for all before it."""
    made: list[Write] = []
    for index in seen.wanted:
        pod = seen.mine.get(index)
        if pod is None and world.get(Key(PODS, seen.owner.namespace, f"{seen.owner.name}-{index}")) is None:
            made.append(_pod(seen, index))
        if not seen.parallel and (pod is None or not seen.works(pod)):
            break
    return made


def _surplus(seen: _Seen) -> list[Write]:
    """The last goes first; in order, each only when those before it work and the ones after it are gone."""
    extra = [index for index in sorted(seen.mine, reverse=True) if index not in seen.wanted]
    if not seen.parallel:
        waiting = any(pod.leaving for pod in seen.mine.values())
        working = all(index in seen.mine and seen.works(seen.mine[index]) for index in seen.wanted)
        extra = extra[:1] if working and not waiting else []
    return [pods.deleted(seen.mine[index]) for index in extra if not seen.mine[index].leaving]


def _replaced(seen: _Seen) -> Sequence[Write]:
    """The last pod of an older template, while all others work."""
    strategy = map_of(seen.owner.spec.get("updateStrategy"))
    if strategy.get("type") == "OnDelete":
        return ()
    for index in sorted(seen.wanted, reverse=True):
        pod = seen.mine.get(index)
        if pod is None or pod.leaving or index < seen.partition:
            return ()
        if not seen.is_new(pod):
            return (pods.deleted(pod),)
        if not seen.works(pod):
            return ()
    return ()


def _pod(seen: _Seen, index: int) -> Create:
    owner = seen.owner
    name = f"{owner.name}-{index}"
    revision, template = seen.revision, map_of(owner.spec.get("template"))
    if index < seen.partition and (before := seen.history.template(seen.current)) is not None:
        revision, template = seen.current, before
    network = {"hostname": name, "subdomain": owner.spec.get("serviceName")}
    spec: Json = {**map_of(template.get("spec")), **{field: text for field, text in network.items() if text}}
    labels = {NAME_LABEL: name, INDEX_LABEL: str(index), REVISION_LABEL: revision}
    return pods.new_pod(owner, {**template, "spec": spec}, name, labels)


def _status(seen: _Seen, counts: pods.Counts) -> Json:
    active = [pod for pod in seen.mine.values() if pods.is_active(pod)]
    updated = sum(map(seen.is_new, active))
    wanted = len(seen.wanted)
    done = updated == len(active) == wanted == counts.available
    current = seen.revision if done else seen.current
    fields = {
        "observedGeneration": seen.owner.generation,
        "replicas": counts.total,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "currentReplicas": sum(1 for pod in active if pod.labels.get(REVISION_LABEL) == current),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": seen.revision,
        "collisionCount": 0,
    }
    return compact(fields, always=("replicas", "availableReplicas", "collisionCount"))
