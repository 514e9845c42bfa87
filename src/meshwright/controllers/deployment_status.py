"""What a Deployment says of itself: its counts, and the conditions Available and Progressing."""

from dataclasses import dataclass

from meshwright.controllers.revisions import Generations
from meshwright.controllers.rollout import Bounds
from meshwright.controllers.values import compact, condition, dig, map_of, moment, number, timestamp
from meshwright.controllers.world import Object
from meshwright.store.names import EpochMilliseconds, Json

CREATED = "NewReplicaSetCreated"
FOUND = "FoundNewReplicaSet"
COMPLETE = "NewReplicaSetAvailable"
_PAUSED, _RESUMED, _LATE = "DeploymentPaused", "DeploymentResumed", "ProgressDeadlineExceeded"
_DEADLINE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Progress:
    """What this look at a Deployment found: its ReplicaSets, its bounds, and whether a rollout begins (CREATED,
    FOUND, or nothing).
    """

    gens: Generations
    limits: Bounds
    begins: str
    now: EpochMilliseconds


def deployment_status(deployment: Object, progress: Progress) -> Json:
    """The whole status with the two conditions; those of others are not in it."""
    fields = _counts(progress)
    conditions = [_available(deployment, fields, progress), _progressing(deployment, fields, progress)]
    status = {"observedGeneration": deployment.generation, **compact(fields, always=("replicas",))}
    return {**status, "conditions": conditions}


def late_at(deployment: Object, status: Json) -> EpochMilliseconds | None:
    """When a rollout that makes no progress is over its deadline; None where none is under way."""
    found = condition({"status": status}, "Progressing")
    if found.get("status") == "False" or found.get("reason") in (COMPLETE, _PAUSED):
        return None
    return EpochMilliseconds(moment(found.get("lastUpdateTime")) + _deadline(deployment) * 1000)


def is_paused(deployment: Object) -> bool:
    """Its template is not to be rolled out for now."""
    return deployment.spec.get("paused") is True


def _deadline(deployment: Object) -> int:
    return number(dig(deployment.spec, "progressDeadlineSeconds"), _DEADLINE_SECONDS)


def _counts(progress: Progress) -> dict[str, int]:
    gens = progress.gens
    total = sum(each.counts.total for each in gens.all)
    available = sum(each.counts.available for each in gens.all)
    wanted = max(sum(each.size for each in gens.all), progress.limits.desired)
    return {
        "replicas": total,
        "updatedReplicas": gens.new.counts.total if gens.new is not None else 0,
        "readyReplicas": sum(each.counts.ready for each in gens.all),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }


def _available(deployment: Object, fields: dict[str, int], progress: Progress) -> Json:
    enough = fields["availableReplicas"] >= progress.limits.least_available
    said = f"{fields['availableReplicas']} available, at least {progress.limits.least_available} wanted"
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    return _condition(deployment, progress.now, ("Available", "True" if enough else "False", reason), said)


def _progressing(deployment: Object, fields: dict[str, int], progress: Progress) -> Json:
    before = condition(deployment.value, "Progressing")
    moved = _moved(map_of(deployment.status), fields)
    status, reason = _progress(deployment, fields, progress, moved=moved)
    name = progress.gens.new.set.name if progress.gens.new is not None else deployment.name
    said = f"{name}: {fields['updatedReplicas']} of {progress.limits.desired} pods are of this template"
    if reason == before.get("reason") and not moved:
        said = str(before.get("message") or said)
    made = _condition(deployment, progress.now, ("Progressing", status, reason), said)
    if moved and reason == "ReplicaSetUpdated":
        made["lastUpdateTime"] = timestamp(progress.now)
    return made


def _progress(deployment: Object, fields: dict[str, int], progress: Progress, *, moved: bool) -> tuple[str, str]:
    """Status and reason of the condition Progressing."""
    before = condition(deployment.value, "Progressing")
    reason = str(before.get("reason") or "")
    if is_paused(deployment):
        return "Unknown", _PAUSED
    if progress.begins:
        return "True", progress.begins
    if _is_complete(fields, progress):
        return "True", COMPLETE
    if reason == _PAUSED:
        return "Unknown", _RESUMED
    if reason == COMPLETE and fields["replicas"] == fields["updatedReplicas"]:
        return "True", COMPLETE  # the rollout is over; that pods come and go since is another matter
    if moved or not reason or reason == COMPLETE:
        return "True", "ReplicaSetUpdated"
    late = moment(before.get("lastUpdateTime")) + _deadline(deployment) * 1000
    return ("False", _LATE) if progress.now >= late else (str(before.get("status")), reason)


def _is_complete(fields: dict[str, int], progress: Progress) -> bool:
    names = ("replicas", "updatedReplicas", "availableReplicas")
    return progress.gens.new is not None and all(fields[name] == progress.limits.desired for name in names)


def _moved(before: Json, fields: dict[str, int]) -> bool:
    """More new pods, fewer old ones, or more that work."""
    was = {name: number(before.get(name), 0) for name in fields}
    old_before, old_now = (each["replicas"] - each["updatedReplicas"] for each in (was, fields))
    more = any(fields[name] > was[name] for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return more or old_now < old_before


def _condition(deployment: Object, now: EpochMilliseconds, said: tuple[str, str, str], message: str) -> Json:
    """With the times of the condition as it was, where it says the same."""
    kind, status, reason = said
    before = condition(deployment.value, kind)
    made = {"type": kind, "status": status, "reason": reason, "message": message}
    same_status = before.get("status") == status
    same_reason = same_status and before.get("reason") == reason
    moved = before.get("lastTransitionTime") if same_status else None
    updated = before.get("lastUpdateTime") if same_reason else None
    return {**made, "lastTransitionTime": moved or timestamp(now), "lastUpdateTime": updated or timestamp(now)}
