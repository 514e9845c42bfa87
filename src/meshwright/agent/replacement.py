"""Which pods start, stay or leave: the difference between what is wanted and what is there. Plain decisions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar

from meshwright.model.names import ProxyName
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Container, Volume

T = TypeVar("T", Container, Volume)

_NOWHERE = Origin(ObjectRef("", "", ""))
# Annotations that change how a pod is built; others may change while it runs.
_BUILT_IN = ("traffic.sidecar.istio.io/", "sidecar.istio.io/", "proxy.istio.io/")


def fingerprint(pod: PlannedPod) -> str:
    """Equal for two plans of a pod if a running one of the first needs no restart to be the second."""
    template = pod.template
    init_containers = tuple(_placeless(each) for each in template.init_containers)
    annotations = tuple(pair for pair in pod.meta.annotations.pairs if pair[0].startswith(_BUILT_IN))
    parts = (
        pod.name,
        pod.address,
        pod.identity,
        pod.role,
        annotations,
        tuple(_placeless(each) for each in template.containers),
        tuple((each, each.stays) for each in init_containers),
        template.hostname,
        template.subdomain,
        tuple(_placeless(each) for each in template.volumes),
        template.restart_policy,
        *((each.post_start, each.pre_stop) for each in template.all_containers if each.post_start or each.pre_stop),
    )
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _placeless(part: T) -> T:
    """Without where it stands: places of init containers shift when the pod's own sidecar is shown before them."""
    return replace(part, origin=_NOWHERE)


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do now; what is not named stays as it is."""

    start: tuple[PlannedPod, ...] = ()
    update: tuple[PlannedPod, ...] = ()
    stop: tuple[ProxyName, ...] = ()


def steps(
    desired: Collection[PlannedPod], running: Mapping[ProxyName, PlannedPod], ready: Collection[ProxyName]
) -> Steps:
    """Compare. `running` holds the pods that exist and are not already stopping, `ready` names those that serve.

    A pod that changed under its name is stopped first (its address is its own); a pod that leaves because its
    Deployment has a new template stays until the new ones are ready.
    """
    wanted = {pod.name: pod for pod in desired}
    same = {
        name for name, pod in wanted.items() if name in running and fingerprint(pod) == fingerprint(running[name])
    }
    changed = [name for name in wanted if name in running and name not in same]
    gone = [name for name in running if name not in wanted]
    leaving = [name for name in gone if not _needed(running[name], wanted.values(), ready)]
    return Steps(
        start=tuple(pod for name, pod in wanted.items() if name not in running),
        update=tuple(wanted[name] for name in same if wanted[name] != running[name]),
        stop=(*changed, *leaving),
    )


def _needed(old: PlannedPod, desired: Collection[PlannedPod], ready: Collection[ProxyName]) -> bool:
    """Whether an unwanted pod must go on serving because what replaces it does not yet."""
    if old.name not in ready:
        return False
    successors = [
        pod
        for pod in desired
        if (pod.meta.namespace, pod.owner) == (old.meta.namespace, old.owner) and pod.template != old.template
    ]
    if any(pod.address == old.address for pod in successors):
        return False
    return any(pod.name not in ready for pod in successors)
