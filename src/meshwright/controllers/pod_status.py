"""How a pod is doing, as its Kubernetes status says it; and what there is to tell when that changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshwright.controllers.decision import Happening
from meshwright.controllers.events import Count
from meshwright.controllers.values import compact, condition, dig, list_of, map_of, timestamp
from meshwright.controllers.world import Object
from meshwright.model.planned_pod import ContainerStatus, PodPhase, PodStatus
from meshwright.store.names import EpochMilliseconds, Json

COMPONENT = "kubelet"
SIDECAR, SIDECAR_IMAGE = "istio-proxy", "meshwright/envoy"
_DEFAULTS: Json = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
}  # as every container of a pod has them: a later write of the whole pod would add them
_BACK_OFF = "CrashLoopBackOff"
_HELD = ("NoImageEntry", "CreateContainerConfigError")  # until somebody changes what is written
_RUNNING = "running"
_ENDED = ("Completed", "Error")
_ENDING = "Terminating"


@dataclass(frozen=True, slots=True)
class Report:
    """What the machine says of one pod. `address` is its IP, empty: as it was told before."""

    status: PodStatus
    address: str
    host_address: str = "127.0.0.1"


def kubernetes_status(pod: Object, report: Report, now: EpochMilliseconds) -> Json:
    """The status; times stay those of the status before where nothing moved."""
    status = report.status
    before = pod.value
    started = status.started if status.started is not None else now
    phase = _phase(before, status)
    address = report.address or str(dig(before, "status", "podIP") or "")
    own = _names(pod.spec, "containers")
    all_ready = all(container.ready for container in status.containers)
    reason = "" if status.ready else _ENDING if status.phase is PodPhase.TERMINATING else "ContainersNotReady"
    unready = ", ".join(each.name for each in status.containers if not each.ready)
    said = "" if status.ready or not unready else f"not ready: {unready}"
    conditions = [
        _condition(before, "PodScheduled", ("True", "", ""), now),
        _condition(before, "Initialized", _initialized(pod, status), now),
        _condition(before, "ContainersReady", (_truth(value=all_ready and status.ready), reason, said), now),
        _condition(before, "Ready", (_truth(value=status.ready), reason, said), now),
    ]
    fields = {
        "phase": phase,
        "message": status.message,
        "conditions": conditions,
        "hostIP": report.host_address,
        "hostIPs": [{"ip": report.host_address}],
        "podIP": address,
        "podIPs": [{"ip": address}] if address else [],
        "startTime": dig(before, "status", "startTime") or timestamp(EpochMilliseconds(started)),
        "containerStatuses": [_container(before, each, now) for each in status.containers if each.name in own],
        "initContainerStatuses": [
            _container(before, each, now) for each in _in_order(pod, status) if each.name not in own
        ],
        "qosClass": _quality(pod.spec),
    }
    return compact(fields)


def _in_order(pod: Object, status: PodStatus) -> list[ContainerStatus]:
    """As the init containers are listed; first what injection is about to add to them."""
    places = {str(dig(each, "name")): at for at, each in enumerate(list_of(pod.spec.get("initContainers")))}
    return sorted(status.containers, key=lambda each: places.get(each.name, -1))


def _initialized(pod: Object, status: PodStatus) -> tuple[str, str, str]:
    """Whether every init container has done what it is for: ended well, or started where it stays."""
    told = {each.name: each for each in status.containers}
    listed = [map_of(each) for each in list_of(pod.spec.get("initContainers"))]
    missing = [name for each in listed if (name := str(each.get("name"))) != SIDECAR and not _has_done(each, told)]
    if not missing:
        return "True", "", ""
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"


def _has_done(container: Json, told: Mapping[str, ContainerStatus]) -> bool:
    status = told.get(str(container.get("name")))
    if status is None:
        return False
    if container.get("restartPolicy") == "Always":
        return status.pid is not None or status.reason in _ENDED
    return status.reason == "Completed"


def _phase(before: Json, status: PodStatus) -> str:
    """A pod that ends keeps the phase it had: that it ends is told by its deletionTimestamp."""
    if status.phase is PodPhase.TERMINATING:
        return str(dig(before, "status", "phase") or PodPhase.RUNNING)
    return str(status.phase)


def _truth(*, value: bool) -> str:
    return "True" if value else "False"


def _condition(before: Json, kind: str, said: tuple[str, str, str], now: EpochMilliseconds) -> Json:
    status, reason, message = said
    old = condition(before, kind)
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    made = compact({"type": kind, "status": status, "reason": reason, "message": message})
    return {**made, "lastTransitionTime": since or timestamp(now)}


# ------------------------------------------------------------ containers


def _names(spec: Json, field: str) -> set[str]:
    return {str(dig(each, "name")) for each in list_of(spec.get(field))}


def with_sidecars(pod: Object, status: PodStatus) -> Json | None:
    """The pod with what runs in it beside its own containers, as injection shows it; None where that is there.

    They stand among the init containers, which start before the others; `Always` says that they stay.
    """
    known = _names(pod.spec, "containers") | _names(pod.spec, "initContainers")
    added: list[Json] = [
        {"name": each.name, "image": SIDECAR_IMAGE, "restartPolicy": "Always", **_DEFAULTS}
        for each in status.containers
        if each.name not in known
    ]
    if not added:
        return None
    return {**pod.value, "spec": {**pod.spec, "initContainers": [*added, *list_of(pod.spec.get("initContainers"))]}}


def _before(before: Json, name: str) -> Json:
    fields = ("containerStatuses", "initContainerStatuses")
    listed = [each for field in fields for each in list_of(dig(before, "status", field))]
    return map_of(next((each for each in listed if dig(each, "name") == name), None))


def _container(before: Json, status: ContainerStatus, now: EpochMilliseconds) -> Json:
    old = _before(before, status.name)
    state = _state(old, status, now)
    image = next(
        (
            dig(each, "image")
            for field in ("containers", "initContainers")
            for each in list_of(dig(before, "spec", field))
            if dig(each, "name") == status.name
        ),
        SIDECAR_IMAGE,
    )
    return {
        "name": status.name,
        "image": image or "",
        "imageID": "",
        "ready": status.ready,
        "started": _RUNNING in state,
        "restartCount": status.restarts,
        "state": state,
        "lastState": _last_state(old, status, state, now),
        **({"containerID": f"process://{status.pid}"} if status.pid is not None else {}),
    }


def _state(old: Json, status: ContainerStatus, now: EpochMilliseconds) -> Json:
    if status.pid is not None or status.reason == "Running":
        same_one = old.get("restartCount") == status.restarts and old.get("containerID") in (
            None, f"process://{status.pid}",
        )  # fmt: skip
        since = dig(old, "state", _RUNNING, "startedAt") if same_one else None
        return {_RUNNING: {"startedAt": since or timestamp(now)}}
    if status.reason in _ENDED:
        known = dig(old, "state", "terminated")
        return {"terminated": known if _same_end(known, status) else _ended(old, status, now)}
    return {"waiting": compact({"reason": status.reason, "message": status.message})}


def _same_end(known: object, status: ContainerStatus) -> bool:
    return dig(known, "exitCode") == (status.exit_code or 0) and dig(known, "reason") == status.reason


def _ended(old: Json, status: ContainerStatus, now: EpochMilliseconds) -> Json:
    code = status.exit_code or 0
    began = dig(old, "state", _RUNNING, "startedAt") or dig(old, "lastState", "terminated", "startedAt")
    return {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": began or timestamp(now),
        "finishedAt": timestamp(now),
    }


def _last_state(old: Json, status: ContainerStatus, state: Json, now: EpochMilliseconds) -> Json:
    """How the one before ended: as it was told when it ended, else as far as is known now."""
    if "terminated" in state or not status.restarts:
        return map_of(old.get("lastState")) if status.restarts else {}
    if old.get("restartCount") == status.restarts and old.get("lastState"):
        return map_of(old.get("lastState"))
    ended = dig(old, "state", "terminated")
    if ended:
        return {"terminated": ended}
    return {"terminated": _ended(old, status, now)} if status.exit_code is not None else {}


def _quality(spec: Json) -> str:
    """Kubernetes' classes by requests and limits."""
    asked = [map_of(dig(each, "resources")) for each in list_of(spec.get("containers"))]
    if not any(each.get("requests") or each.get("limits") for each in asked):
        return "BestEffort"
    whole = all(
        {"cpu", "memory"} <= map_of(each.get("limits")).keys()
        and each.get("requests") in (None, {}, each.get("limits"))
        for each in asked
    )
    return "Guaranteed" if whole else "Burstable"


# ------------------------------------------------------------ what to tell


def happenings(pod: Object, status: Json, report: Report) -> list[Happening]:
    """Events for the step from the pod's status before to this one."""
    found: list[Happening] = []
    if report.status.phase is PodPhase.TERMINATING:
        return [] if condition(pod.value, "Ready").get("reason") == _ENDING else _killing(pod, report)
    before = [_before(pod.value, each.name) for each in report.status.containers]
    for container, old in zip(report.status.containers, before, strict=True):
        new = _before({"status": status}, container.name)
        found += _steps(pod, container, old, new)
    return found


def _steps(pod: Object, container: ContainerStatus, old: Json, new: Json) -> Sequence[Happening]:
    part = _part(pod, container.name)
    running = dig(new, "state", _RUNNING) is not None
    was_running = dig(old, "state", _RUNNING) is not None
    if running and (not was_running or old.get("restartCount") != container.restarts):
        return (Happening(pod, "Started", f"Started container {container.name}", COMPONENT, part=part),)
    if container.reason in _HELD and dig(old, "state", "waiting", "message") != container.message:
        said = f"Container {container.name} cannot start: {container.reason}: {container.message}"
        return (Happening(pod, "Failed", said, COMPONENT, warning=True, part=part),)
    if container.reason == _BACK_OFF and old.get("restartCount") != container.restarts:
        said = f"Container {container.name} of pod {pod.name} ended again and is started later"
        return (Happening(pod, "BackOff", said, COMPONENT, warning=True, part=part),)
    return ()


def _part(pod: Object, container: str) -> str:
    field = "containers" if container in _names(pod.spec, "containers") else "initContainers"
    return f"spec.{field}{{{container}}}"


def _killing(pod: Object, report: Report) -> list[Happening]:
    return [
        Happening(pod, "Killing", f"Stopping container {each.name}", COMPONENT, part=_part(pod, each.name))
        for each in report.status.containers
        if each.pid is not None
    ]


def occurrences(pod: Object, report: Report) -> Iterator[tuple[Happening, Count]]:
    """What the machine counts of the pod's containers. Counts that began at another time are another Event, so that
    one that begins anew (the agent was started again) is not taken for the old one.
    """
    for container in report.status.containers:
        part = _part(pod, container.name)
        for each in container.told:
            topic = f"{each.topic} since {each.first}"
            happening = Happening(pod, each.reason, each.message, COMPONENT, each.warning, part, topic)
            yield happening, Count(each.count, EpochMilliseconds(each.first), EpochMilliseconds(each.last))
