"""The Node of this machine, and pods bound to it."""

from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision, Happening
from meshwright.controllers.machine import MachineFacts
from meshwright.controllers.pod_status import COMPONENT
from meshwright.controllers.resources import NODES, PODS
from meshwright.controllers.values import condition, list_of, map_of, moment, same, timestamp
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import Create, Update, UpdateStatus, Write

OWNER = Owner("controller/node")
MOST_PODS = 500
HEARTBEAT_MILLISECONDS = 300_000
_RUNTIME = "meshwright"
_SCHEDULER = "default-scheduler"
_CORDONED = "node.kubernetes.io/unschedulable"
_KEEPING_OUT = ("NoSchedule", "NoExecute")
_MET = ("Ready", "True", "AgentReady", "pods can be run")
_QUIET = (
    ("MemoryPressure", "False", "EnoughMemory", "memory is free"),
    ("DiskPressure", "False", "EnoughDisk", "disk space is free"),
    ("PIDPressure", "False", "EnoughProcesses", "processes can be started"),
)


class Nodes:
    """The controller of the one Node."""

    name = "node"

    def __init__(self, node_name: str, facts: MachineFacts, version: str) -> None:
        self._key = Key(NODES, "", node_name)
        self._facts = facts
        self._version = version
        self.standing = frozenset({self._key})

    def concerns(self, world: World, thing: Object) -> set[Key]:
        del world
        return {self._key} if thing.key == self._key else set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        node = world.get(key)
        if node is None:
            return Decision((Create(key, self._value()), UpdateStatus(key, self._status({}, now), OWNER)))
        if node.leaving:
            return NOTHING
        writes: list[Write] = []
        labels = {**node.labels, **self._labels()}
        if labels != node.labels:
            value = {**node.value, "metadata": {**node.metadata, "labels": labels}}
            writes.append(Update(key, value, node.revision))
        status = self._status(node.value, now)
        if not same(status, _own_part(node.value)):
            writes.append(UpdateStatus(key, status, OWNER, uid=Uid(node.uid)))
        return Decision(tuple(writes), again=EpochMilliseconds(now + HEARTBEAT_MILLISECONDS))

    def _labels(self) -> Json:
        return {
            "node-role.kubernetes.io/control-plane": "",
            "kubernetes.io/hostname": self._key.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": self._facts.architecture,
        }

    def _value(self) -> Json:
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"labels": self._labels()}, "spec": {}}

    def _status(self, before: Json, now: EpochMilliseconds) -> Json:
        facts = self._facts
        room = {"cpu": str(facts.cpus), "memory": f"{facts.memory_kib}Ki", "pods": str(MOST_PODS)}
        return {
            "addresses": [
                {"type": "InternalIP", "address": facts.address},
                {"type": "Hostname", "address": facts.hostname},
            ],
            "capacity": room,
            "allocatable": room,
            "nodeInfo": {
                "architecture": facts.architecture,
                "bootID": facts.boot,
                "containerRuntimeVersion": f"{_RUNTIME}://{self._version}",
                "kernelVersion": facts.kernel,
                "kubeProxyVersion": f"v{self._version}",
                "kubeletVersion": f"v{self._version}",
                "machineID": facts.identity,
                "operatingSystem": "linux",
                "osImage": facts.system,
                "systemUUID": facts.identity,
            },
            "conditions": [_condition(before, said, now) for said in (*_QUIET, _MET)],
        }


def _condition(before: Json, said: tuple[str, str, str, str], now: EpochMilliseconds) -> Json:
    kind, status, reason, message = said
    old = condition(before, kind)
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    made = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**made, "lastHeartbeatTime": _heartbeat(old, now), "lastTransitionTime": since or timestamp(now)}


def _heartbeat(old: Json, now: EpochMilliseconds) -> str:
    """When it was last looked at; written anew every few minutes only."""
    last = old.get("lastHeartbeatTime")
    return str(last) if last and now - moment(last) < HEARTBEAT_MILLISECONDS else timestamp(now)


def _own_part(value: Json) -> Json:
    found = [condition(value, said[0]) for said in (*_QUIET, _MET)]
    return {**(value.get("status") or {}), "conditions": [each for each in found if each]}


class Scheduler:
    """Binds every pod to the one machine there is, unless a cordon or a taint of it keeps the pod out."""

    name = "scheduler"
    standing = NO_KEYS

    def __init__(self, node_name: str) -> None:
        self._node = node_name
        self._key = Key(NODES, "", node_name)

    def concerns(self, world: World, thing: Object) -> set[Key]:
        if thing.key == self._key:
            return {pod.key for pod in world.of(PODS) if _waits(pod)}
        return {thing.key} if thing.key.resource == PODS and _waits(thing) else set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        pod = world.get(key)
        if pod is None or not _waits(pod):
            return NOTHING
        node = world.get(self._key)
        why = _closed(node, pod) if node is not None else ""
        if why:
            return _left_waiting(pod, f"0/1 nodes are available: {why}", now)
        bound = Update(key, {**pod.value, "spec": {**pod.spec, "nodeName": self._node}}, pod.revision)
        said = f"Assigned {pod.namespace}/{pod.name} to {self._node}"
        happenings = [Happening(pod, "Scheduled", said, _SCHEDULER)]
        owner = world.with_uid((pod.controller or {}).get("uid"))
        if owner is not None:
            component = f"{str(owner.value.get('kind')).lower()}-controller"
            happenings.append(Happening(owner, "SuccessfulCreate", f"Created pod: {pod.name}", component))
        return Decision((bound,), tuple(happenings))


def _waits(pod: Object) -> bool:
    return not pod.spec.get("nodeName") and not pod.leaving


def _closed(node: Object, pod: Object) -> str:
    """Why the machine takes no such pod, with what opens it; empty where it takes it."""
    borne = [map_of(each) for each in list_of(pod.spec.get("tolerations"))]
    if node.spec.get("unschedulable") is True:
        taint: Json = {"key": _CORDONED, "effect": "NoSchedule"}
        if not any(_bears(each, taint) for each in borne):
            return f"1 node(s) were unschedulable (kubectl uncordon {node.name})"
    for taint in map(map_of, list_of(node.spec.get("taints"))):
        if taint.get("effect") in _KEEPING_OUT and not any(_bears(each, taint) for each in borne):
            said = f"{taint.get('key')}: {taint.get('value', '')}"
            return (
                f"1 node(s) had untolerated taint(s) {{{said}}} (kubectl taint node {node.name} {taint.get('key')}-)"
            )
    return ""


def _bears(toleration: Json, taint: Json) -> bool:
    """Whether a toleration is about this taint, as Kubernetes compares them."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and toleration.get("value", "") == taint.get("value", "")


def _left_waiting(pod: Object, why: str, now: EpochMilliseconds) -> Decision:
    """Its condition and an Event say so, once."""
    before = condition(pod.value, "PodScheduled")
    if before.get("status") == "False" and before.get("message") == why:
        return NOTHING
    said: Json = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": why,
        "lastTransitionTime": before.get("lastTransitionTime") or timestamp(now),
    }
    status: Json = {"phase": "Pending", "conditions": [said]}
    told = Happening(pod, "FailedScheduling", why, _SCHEDULER, warning=True)
    return Decision((UpdateStatus(pod.key, status, Owner(COMPONENT), uid=Uid(pod.uid)),), (told,))
