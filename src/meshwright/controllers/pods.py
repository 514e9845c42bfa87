"""Pods as their controllers see them: which count, which are available, which go first, and how one is made."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshwright.controllers.decision import earlier, reference
from meshwright.controllers.resources import PODS
from meshwright.controllers.values import annotations_of, dig, labels_of, list_of, number, plain
from meshwright.controllers.world import Object
from meshwright.store.names import EpochMilliseconds, Json, Key, Uid
from meshwright.store.writes import Create, Delete

GRACE_SECONDS = 30
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_FINISHED = ("Succeeded", "Failed")
_PHASES = ("Pending", "Unknown", "Running")


def is_finished(pod: Object) -> bool:
    """Its containers have ended for good."""
    return pod.phase in _FINISHED


def is_active(pod: Object) -> bool:
    """It counts as a replica."""
    return not pod.leaving and not is_finished(pod)


def is_ready(pod: Object) -> bool:
    """Its Ready condition holds."""
    return pod.ready_since is not None


def available_from(pod: Object, min_ready_seconds: int) -> EpochMilliseconds | None:
    """Since (or from) when the pod is available; None while it is not ready."""
    if pod.ready_since is None:
        return None
    return EpochMilliseconds(pod.ready_since + min_ready_seconds * 1000 if min_ready_seconds else 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Active pods of one owner. `again` is when the next ready one becomes available."""

    total: int = 0
    ready: int = 0
    available: int = 0
    again: EpochMilliseconds | None = None


def count(pods: Iterable[Object], min_ready_seconds: int, now: EpochMilliseconds) -> Counts:
    """Of those that are active."""
    total = ready = available = 0
    again: EpochMilliseconds | None = None
    for pod in filter(is_active, pods):
        total += 1
        since = available_from(pod, min_ready_seconds)
        if since is None:
            continue
        ready += 1
        if since <= now:
            available += 1
        else:
            again = earlier(again, since)
    return Counts(total, ready, available, again)


def deletion_order(pods: Iterable[Object]) -> list[Object]:
    """Who goes first when there are too many: not started, not ready, cheap, ready or made most recently."""
    return sorted(pods, key=_rank)


def _rank(pod: Object) -> tuple[object, ...]:
    cost = annotations_of(pod.value).get(DELETION_COST, "0")
    restarts = sum(number(dig(item, "restartCount"), 0) for item in list_of(pod.status.get("containerStatuses")))
    return (
        "nodeName" in pod.spec,
        _PHASES.index(pod.phase) if pod.phase in _PHASES else 0,
        is_ready(pod),
        int(cost) if cost.lstrip("-").isdigit() else 0,
        -(pod.ready_since or 0),
        -restarts,
        -pod.created,
        pod.name,
    )


def grace_of(pod: Object) -> int:
    """How long it may take to end, in seconds."""
    return max(0, number(pod.spec.get("terminationGracePeriodSeconds"), GRACE_SECONDS))


def deleted(pod: Object) -> Delete:
    """The write that lets a pod end in its time; one that has ended goes at once."""
    return Delete(pod.key, uid=Uid(pod.uid), grace_seconds=0 if is_finished(pod) else grace_of(pod))


def new_pod(owner: Object, template: Json, name: str = "", extra: Json | None = None) -> Create:
    """A pod of a template, managed by `owner`; without a name it gets one that begins with its owner's.

    `extra` are labels in addition to the template's.
    """
    metadata: Json = {
        "labels": {**labels_of(template), **(extra or {})},
        "annotations": dict(annotations_of(template)),
        "ownerReferences": [reference(owner)],
    }
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{owner.name}-"
    value = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {field: item for field, item in metadata.items() if item},
        "spec": {"serviceAccountName": "default", **plain(template.get("spec") or {})},
    }
    return Create(Key(PODS, owner.namespace, name), value)
