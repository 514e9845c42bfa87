"""ReplicaSets keep as many pods as they ask for."""

from collections.abc import Iterable, Sequence

from meshwright.controllers import pods
from meshwright.controllers.claim import claim, fits_itself, misfit, owners_concerned
from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision
from meshwright.controllers.resources import PODS, REPLICA_SETS
from meshwright.controllers.values import compact, labels_of, map_of, matches, number, same
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import UpdateStatus, Write

OWNER = Owner("controller/replicaset")
MOST_FINISHED = 10  # pods that ended for good and stay to be looked at, per ReplicaSet


def replicas(thing: Object) -> int:
    """How many pods are asked for; one where nothing is said."""
    return max(0, number(thing.spec.get("replicas"), 1))


def min_ready_seconds(thing: Object) -> int:
    """How long a pod must have been ready to be available."""
    return max(0, number(thing.spec.get("minReadySeconds"), 0))


def pods_of(world: World, replica_set: Object) -> list[Object]:
    """All that it manages, also those that end."""
    return world.controlled(replica_set, PODS)


def surplus(mine: Iterable[Object], wanted: int) -> list[Object]:
    """The active pods that go so that `wanted` stay."""
    active = [pod for pod in mine if pods.is_active(pod)]
    return pods.deletion_order(active)[: len(active) - wanted] if len(active) > wanted else []


class ReplicaSets:
    """The controller."""

    name = "replicaset"
    standing = NO_KEYS

    def concerns(self, world: World, thing: Object) -> set[Key]:
        if thing.key.resource == REPLICA_SETS:
            return {thing.key}
        return owners_concerned(world, thing, REPLICA_SETS) if thing.key.resource == PODS else set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        replica_set = world.get(key)
        if replica_set is None:
            return NOTHING
        if not fits_itself(replica_set):
            return Decision(happenings=(misfit(replica_set, "replicaset-controller"),))
        claimed = claim(world, replica_set, PODS)
        if claimed.writes:
            return Decision(claimed.writes)
        writes = [] if replica_set.leaving else _replicate(replica_set, claimed.mine)
        counts = pods.count(claimed.mine, min_ready_seconds(replica_set), now)
        status = _status(replica_set, claimed.mine, counts)
        if not same(status, _without_conditions(replica_set.status)):
            writes.append(UpdateStatus(key, status, OWNER, uid=Uid(replica_set.uid)))
        return Decision(tuple(writes), again=counts.again)


def _replicate(replica_set: Object, mine: Sequence[Object]) -> list[Write]:
    wanted = replicas(replica_set)
    active = sum(map(pods.is_active, mine))
    template = map_of(replica_set.spec.get("template"))
    made: list[Write] = [pods.new_pod(replica_set, template) for _ in range(wanted - active)]
    ended = [pod for pod in mine if pods.is_finished(pod) and not pod.leaving]
    going = [*surplus(mine, wanted), *ended[: max(0, len(ended) - MOST_FINISHED)]]
    return [*made, *map(pods.deleted, going)]


def _status(replica_set: Object, mine: Sequence[Object], counts: pods.Counts) -> Json:
    template = labels_of(replica_set.spec.get("template"))
    labelled = sum(1 for pod in mine if pods.is_active(pod) and matches(template, pod.labels))
    fields = {
        "observedGeneration": replica_set.generation,
        "replicas": counts.total,
        "fullyLabeledReplicas": labelled,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "terminatingReplicas": sum(1 for pod in mine if pod.leaving),
    }
    return compact(fields, always=("replicas",))


def _without_conditions(status: Json) -> Json:
    return {name: item for name, item in status.items() if name != "conditions"}
