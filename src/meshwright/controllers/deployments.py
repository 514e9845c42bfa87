"""Deployments: a ReplicaSet for each template, and the steps from the old ones to the new one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from meshwright.controllers import deployment_status, pods, revisions, rollout
from meshwright.controllers.claim import claim, fits_itself, misfit, owners_concerned, with_metadata
from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision, Happening, earlier
from meshwright.controllers.deployment_status import Progress, is_paused
from meshwright.controllers.replica_sets import min_ready_seconds, pods_of, replicas, surplus
from meshwright.controllers.resources import DEPLOYMENTS, PODS, REPLICA_SETS, REVISION
from meshwright.controllers.revisions import Generation, Generations
from meshwright.controllers.rollout import Bounds, Sizes
from meshwright.controllers.values import annotations_of, condition, dig, same
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import Update, UpdateStatus, Write

OWNER = Owner("controller/deployment")
COMPONENT = "deployment-controller"


@dataclass(slots=True)
class _Look:
    """One look at one Deployment: what it sees, and what it collects."""

    world: World
    deployment: Object
    gens: Generations
    limits: Bounds
    now: EpochMilliseconds
    writes: list[Write] = field(default_factory=list[Write])
    happenings: list[Happening] = field(default_factory=list[Happening])
    begins: str = ""


class Deployments:
    """The controller."""

    name = "deployment"
    standing = NO_KEYS

    def concerns(self, world: World, thing: Object) -> set[Key]:
        match thing.key.resource:
            case resource if resource == DEPLOYMENTS:
                return {thing.key}
            case resource if resource == REPLICA_SETS:
                return owners_concerned(world, thing, DEPLOYMENTS)
            case resource if resource == PODS and thing.controller is not None:
                owner = world.with_uid(thing.controller.get("uid"))
                return self.concerns(world, owner) if owner and owner.key.resource == REPLICA_SETS else set()
            case _:
                return set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        deployment = world.get(key)
        if deployment is None:
            return NOTHING
        if not fits_itself(deployment):
            return Decision(happenings=(misfit(deployment, COMPONENT),))
        claimed = claim(world, deployment, REPLICA_SETS)
        if claimed.writes:
            return Decision(claimed.writes)
        found = [revisions.generation(world, each, now) for each in claimed.mine if not each.leaving]
        gens = revisions.generations(deployment, found)
        limits = rollout.bounds(replicas(deployment), deployment.spec.get("strategy"))
        look = _Look(world, deployment, gens, limits, now)
        if not deployment.leaving:
            _act(look)
        return _told(look)


def _told(look: _Look) -> Decision:
    """The writes so far and the status."""
    deployment = look.deployment
    status = deployment_status.deployment_status(deployment, Progress(look.gens, look.limits, look.begins, look.now))
    if not same(status, _own_part(deployment.value)):
        look.writes.append(UpdateStatus(deployment.key, status, OWNER, uid=Uid(deployment.uid)))
    again = deployment_status.late_at(deployment, status)
    for each in look.gens.all:
        again = earlier(again, each.counts.again)
    return Decision(tuple(look.writes), tuple(look.happenings), again)


def _own_part(value: Json) -> Json:
    status = dict(value.get("status") or {})
    found = (condition(value, kind) for kind in ("Available", "Progressing"))
    return {**status, "conditions": [each for each in found if each]}


def _act(look: _Look) -> None:
    if is_paused(look.deployment):
        _resize(look, rollout.scaled(look.gens, look.limits) if _needs_size(look) else {}, marks=True)
        return
    revision = revisions.next_revision(look.gens)
    if look.gens.new is not None and str(revisions.revision_of(look.gens.new.set)) != revision:
        look.begins = deployment_status.FOUND
    if rollout.is_rescaled(look.gens, look.limits):
        _resize(look, rollout.scaled(look.gens, look.limits), marks=True)
    elif dig(look.deployment.spec, "strategy", "type") == "Recreate":
        _recreate(look, revision)
    else:
        _roll(look, revision)
    look.writes += revisions.outdated(look.deployment, look.gens) if not look.writes else ()
    _number(look, revision)


def _needs_size(look: _Look) -> bool:
    having = [each for each in look.gens.all if each.size]
    return rollout.is_rescaled(look.gens, look.limits) or (
        len(having) <= 1 and any(each.size != look.limits.desired for each in look.gens.all[-1:])
    )


def _number(look: _Look, revision: str) -> None:
    """The Deployment tells its revision. Written with every step, so that none is made for an older Deployment."""
    marks = {**annotations_of(look.deployment.value), REVISION: revision}
    write = with_metadata(look.deployment, "annotations", marks)
    if look.writes or annotations_of(look.deployment.value).get(REVISION) != revision:
        look.writes.insert(0, write)


def _recreate(look: _Look, revision: str) -> None:
    if any(each.size for each in look.gens.old):
        _resize(look, {each.set.uid: 0 for each in look.gens.old})
    elif not any(each.alive for each in look.gens.old):
        _new(look, revision, look.limits.desired)


def _roll(look: _Look, revision: str) -> None:
    """First more new pods, then fewer old ones; one step at a time."""
    if _new(look, revision, rollout.grown(look.gens, look.limits)):
        return
    sizes = rollout.shrunk(look.gens, look.limits)
    shrinking = [each for each in look.gens.old if sizes[each.set.uid] < each.size]
    _resize(look, {each.set.uid: sizes[each.set.uid] for each in shrinking})
    _let_go(look, shrinking, sizes)


def _let_go(look: _Look, shrinking: Sequence[Generation], sizes: Sizes) -> None:
    """The pods go in the same transaction as the sizes, which holds only if all others that were counted on are
    still as they were seen: so no step takes away more than may be missing.
    """
    deletions = [
        replace(pods.deleted(pod), revision=pod.revision)
        for each in shrinking
        for pod in surplus(pods_of(look.world, each.set), sizes[each.set.uid])
    ]
    going = {write.key for write in deletions}
    counted: list[Object] = []
    for each in look.gens.all:
        wait = min_ready_seconds(each.set)
        for pod in filter(pods.is_active, pods_of(look.world, each.set)):
            since = pods.available_from(pod, wait)
            if since is not None and since <= look.now:
                counted.append(pod)
    if any(pod.key in going for pod in counted):
        look.writes += [Update(pod.key, pod.value, pod.revision) for pod in counted if pod.key not in going]
    look.writes += deletions


def _new(look: _Look, revision: str, size: int) -> bool:
    """The ReplicaSet of the template, made or brought up to date; whether its size or existence changed."""
    new = look.gens.new
    sizes = (look.limits.desired, look.limits.most)
    before = new.set if new is not None else None
    marks = revisions.annotations(look.deployment, revision, sizes, before)
    if new is None:
        create = revisions.new_set(look.world, look.deployment, marks, size)
        look.writes.append(create)
        look.begins = deployment_status.CREATED
        _tell(look, create.key.name, 0, size)
        return True
    write = revisions.changed(new.set, size=size, marks=marks, ready_seconds=min_ready_seconds(look.deployment))
    if write is not None:
        look.writes.append(write)
    _tell(look, new.set.name, new.size, size)
    return size != new.size


def _resize(look: _Look, sizes: Sizes, *, marks: bool = False) -> None:
    """Other sizes for ReplicaSets; with `marks` those that keep theirs learn of the new total, too."""
    note = revisions.size_marks((look.limits.desired, look.limits.most))
    for each in look.gens.all:
        size = sizes.get(each.set.uid, each.size)
        noted = {**annotations_of(each.set.value), **note}
        if each.set.uid not in sizes and not (marks and sizes and each.size):
            continue
        write = revisions.changed(each.set, size=size, marks=noted)
        if write is not None:
            look.writes.append(write)
        _tell(look, each.set.name, each.size, size)


def _tell(look: _Look, name: str, before: int, after: int) -> None:
    if before != after:
        direction = "up" if after > before else "down"
        said = f"Scaled {direction} replica set {name} from {before} to {after}"
        look.happenings.append(Happening(look.deployment, "ScalingReplicaSet", said, COMPONENT))
