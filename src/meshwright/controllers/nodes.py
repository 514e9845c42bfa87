"""The Node of this machine, and pods bound to it."""

from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision, Happening
from meshwright.controllers.machine import MachineFacts
from meshwright.controllers.resources import NODES, PODS
from meshwright.controllers.values import condition, moment, same, timestamp
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid
from meshwright.store.writes import Create, Update, UpdateStatus, Write

OWNER = Owner("controller/node")
MOST_PODS = 500
HEARTBEAT_MILLISECONDS = 300_000
_RUNTIME = "meshwright"
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
    """Binds every pod to the one machine there is."""

    name = "scheduler"
    standing = NO_KEYS

    def __init__(self, node_name: str) -> None:
        self._node = node_name

    def concerns(self, world: World, thing: Object) -> set[Key]:
        del world
        waiting = thing.key.resource == PODS and not thing.spec.get("nodeName") and not thing.leaving
        return {thing.key} if waiting else set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        del now
        pod = world.get(key)
        if pod is None or pod.leaving or pod.spec.get("nodeName"):
            return NOTHING
        bound = Update(key, {**pod.value, "spec": {**pod.spec, "nodeName": self._node}}, pod.revision)
        said = f"Assigned {pod.namespace}/{pod.name} to {self._node}"
        happenings = [Happening(pod, "Scheduled", said, "default-scheduler")]
        owner = world.with_uid((pod.controller or {}).get("uid"))
        if owner is not None:
            component = f"{str(owner.value.get('kind')).lower()}-controller"
            happenings.append(Happening(owner, "SuccessfulCreate", f"Created pod: {pod.name}", component))
        return Decision((bound,), tuple(happenings))
