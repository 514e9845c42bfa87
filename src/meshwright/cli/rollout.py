"""Whether pods run as they are wanted: of a Deployment or a StatefulSet, or one pod."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshwright.cli.control import ask
from meshwright.cli.mesh_option import running_mesh
from meshwright.cli.pods import DEPLOYMENTS, PODS, STATEFUL_SETS, pods

Json = dict[str, Any]
PLURALS: Mapping[str, str] = {
    **dict.fromkeys((*DEPLOYMENTS, "deployments.apps"), "deployments"),
    **dict.fromkeys((*STATEFUL_SETS, "statefulsets.apps"), "statefulsets"),
    **dict.fromkeys(PODS, "pods"),
}
"""What people call the kinds that are waited for here."""
REPLICAS = ("updatedReplicas", "readyReplicas", "replicas")
LOOK_SECONDS = 0.2


def wait_for_pods(data: Path | None, plural: str, name: str, namespace: str, seconds: float) -> Json:
    """The object as soon as it runs as it is wanted, or after so long: {object, live, reason, message, place}.

    Raises Failure for one that is not there.
    """
    end = time.monotonic() + seconds
    while True:
        [found] = ask(data, "get", kind=plural, names=[name], namespace=namespace)["items"]
        live, message = _pod(found) if plural == "pods" else rolled_out(found)
        if live or time.monotonic() >= end:
            break
        time.sleep(LOOK_SECONDS)
    if not live:
        mine = [pod for pod in pods(running_mesh(data)) if _is_of(pod.name, name, namespace)]
        why = [f"{pod.name}: {pod.why}" for pod in mine if not pod.fine]
        message = "; ".join([message, *why])
    reason = "Ready" if live else "NotReady"
    return {
        "object": f"{found['kind']} {namespace}/{name}",
        "live": live,
        "reason": reason,
        "message": message,
        "place": "",
    }


def rolled_out(found: Json) -> tuple[bool, str]:
    """Whether every pod that a Deployment or StatefulSet wants is of its present template and ready, and no other one
    is left; and how many are.
    """
    told: Json = found.get("status") or {}
    wanted = int(found["spec"].get("replicas", 1))
    seen = int(told.get("observedGeneration", 0)) >= int(found["metadata"]["generation"])
    counts = [int(told.get(what) or 0) for what in REPLICAS]
    ready = min(counts[:2]) if seen else 0
    words = f"{ready} of {wanted} pods are ready"
    left = counts[2] - wanted
    if seen and ready >= wanted and left > 0:
        words = f"{words}, and {left} more have to go"
    return seen and counts == [wanted] * len(REPLICAS), words


def _pod(found: Json) -> tuple[bool, str]:
    status: Json = found.get("status") or {}
    if status.get("phase") == "Succeeded":
        return True, "it has done what it had to do"
    conditions: list[Json] = status.get("conditions") or []
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return ready, "it is ready" if ready else f"it is {status.get('phase', 'Pending')}"


def _is_of(pod: str, name: str, namespace: str) -> bool:
    own, _, space = pod.rpartition(".")
    return space == namespace and name in (own, own.rsplit("-", 2)[0], own.rsplit("-", 1)[0])
