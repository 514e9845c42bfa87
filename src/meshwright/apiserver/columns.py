"""What `kubectl get` shows of each kind: the columns, and what stands in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshwright.apiserver.values import Json, dig, is_map, list_of, map_of

Cell = str | int
SIDECAR = "istio-proxy"
_NONE = "<none>"
_UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_YEAR = 365 * _DAY


@dataclass(frozen=True, slots=True)
class Column:
    """One column; wide ones are shown only with `-o wide`."""

    name: str
    cell: Callable[[Json, datetime], Cell]
    description: str = ""
    wide: bool = False
    type: str = "string"
    format: str = ""

    def definition(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description or self.name,
            "priority": int(self.wide),
        }


def short_age(seconds: float) -> str:
    """As kubectl writes durations: two units at most, and only one where the first says enough."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    for limit, unit, part, names in (
        (10 * _MINUTE, _MINUTE, 1, "ms"),
        (3 * _HOUR, _MINUTE, 0, "m"),
        (8 * _HOUR, _HOUR, _MINUTE, "hm"),
        (2 * _DAY, _HOUR, 0, "h"),
        (8 * _DAY, _DAY, _HOUR, "dh"),
        (2 * _YEAR, _DAY, 0, "d"),
        (8 * _YEAR, _YEAR, _DAY, "yd"),
    ):
        if whole < limit:
            rest = whole % unit // part if part else 0
            return f"{whole // unit}{names[0]}" + (f"{rest}{names[1]}" if rest else "")
    return f"{whole // _YEAR}y"


def age_of(text: object, now: datetime) -> str:
    """The time since a timestamp."""
    if not isinstance(text, str):
        return _UNKNOWN
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _UNKNOWN
    return short_age((now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds())


def _at(*path: str, default: str = _NONE) -> Callable[[Json, datetime], Cell]:
    """The text at a path."""

    def cell(value: Json, _now: datetime) -> Cell:
        found = dig(value, *path)
        return default if found is None or found == "" else str(found)

    return cell


def _count(*path: str) -> Callable[[Json, datetime], Cell]:
    """How many entries a list or map has."""
    return lambda value, _now: len(dig(value, *path) or ())


def _number(*path: str) -> Callable[[Json, datetime], Cell]:
    def cell(value: Json, _now: datetime) -> Cell:
        found = dig(value, *path)
        return found if isinstance(found, int) else 0

    return cell


def _joined(*path: str) -> Callable[[Json, datetime], Cell]:
    """A list of texts as JSON, as Kubernetes shows lists of custom resources."""

    def cell(value: Json, _now: datetime) -> Cell:
        found = dig(value, *path)
        return "[" + ",".join(f'"{item}"' for item in list_of(found)) + "]" if found else ""

    return cell


def _pairs(*path: str) -> Callable[[Json, datetime], Cell]:
    """A map as `a=b,c=d`."""
    return lambda value, _now: ",".join(f"{k}={v}" for k, v in sorted(map_of(dig(value, *path)).items())) or _NONE


def _containers(field: str, *path: str) -> Callable[[Json, datetime], Cell]:
    return lambda value, _now: ",".join(str(item.get(field)) for item in list_of(dig(value, *path)) if is_map(item))


def _condition(kind: str) -> Callable[[Json, datetime], Cell]:
    def cell(value: Json, _now: datetime) -> Cell:
        for item in list_of(dig(value, "status", "conditions")):
            if is_map(item) and item.get("type") == kind:
                return str(item.get("status"))
        return _UNKNOWN

    return cell


def _sidecars(value: Json) -> list[Any]:
    """The init containers that stay."""
    listed = list_of(dig(value, "spec", "initContainers"))
    return [each for each in listed if dig(each, "restartPolicy") == "Always"]


def _container_statuses(value: Json) -> list[Any]:
    """Of all that is to run as long as the pod does."""
    names = {dig(each, "name") for each in _sidecars(value)}
    beside = [each for each in list_of(dig(value, "status", "initContainerStatuses")) if dig(each, "name") in names]
    return [*list_of(dig(value, "status", "containerStatuses")), *beside]


def _pod_ready(value: Json, _now: datetime) -> Cell:
    statuses = _container_statuses(value)
    total = len([*list_of(dig(value, "spec", "containers")), *_sidecars(value)]) or len(statuses)
    return f"{sum(1 for item in statuses if is_map(item) and item.get('ready') is True)}/{max(total, len(statuses))}"


def _initializing(value: Json) -> str:
    """`Init:1/3`, or why an init container does not get on; empty when all have done what they are for, or when
    nothing is known of them. What injection adds is not counted: nobody wrote it.
    """
    listed = [each for each in list_of(dig(value, "spec", "initContainers")) if dig(each, "name") != SIDECAR]
    told = {dig(each, "name"): each for each in list_of(dig(value, "status", "initContainerStatuses"))}
    for index, each in enumerate(listed):
        status = told.get(dig(each, "name"))
        ended, waits = dig(status, "state", "terminated"), dig(status, "state", "waiting", "reason")
        stays = dig(each, "restartPolicy") == "Always"
        if status is None:
            return ""
        if dig(ended, "exitCode") == 0 or (stays and dig(status, "started") is True):
            continue
        if ended:
            return f"Init:{dig(ended, 'reason') or 'Error'}"
        return f"Init:{waits}" if waits and waits != "PodInitializing" else f"Init:{index}/{len(listed)}"
    return ""


def _pod_status(value: Json, _now: datetime) -> Cell:
    """The phase, or what is more telling: why a container waits or ended, or that the pod is on its way out."""
    status: Any = value.get("status")
    said = str(dig(status, "reason") or dig(status, "phase") or "Pending")
    if initializing := _initializing(value):
        return "Terminating" if dig(value, "metadata", "deletionTimestamp") else initializing
    for item in reversed(_container_statuses(value)):
        reason = dig(item, "state", "waiting", "reason") or dig(item, "state", "terminated", "reason")
        if reason:
            said = str(reason)
    return "Terminating" if dig(value, "metadata", "deletionTimestamp") else said


def _pod_restarts(value: Json, now: datetime) -> Cell:
    """How many, and when the last container ended that was started again: `3 (5m ago)`."""
    statuses = _container_statuses(value)
    if _initializing(value):
        statuses = list_of(dig(value, "status", "initContainerStatuses"))
    count = sum(int(item.get("restartCount") or 0) for item in statuses if is_map(item))
    ends = [str(end) for item in statuses if (end := dig(item, "lastState", "terminated", "finishedAt"))]
    return f"{count} ({age_of(max(ends), now)} ago)" if count and ends else str(count)


def _ready_of(value: Json, _now: datetime) -> Cell:
    return f"{dig(value, 'status', 'readyReplicas') or 0}/{dig(value, 'spec', 'replicas') or 0}"


def _service_ports(value: Json, _now: datetime) -> Cell:
    shown: list[str] = []
    for port in list_of(dig(value, "spec", "ports")):
        if is_map(port):
            node = f":{port['nodePort']}" if port.get("nodePort") else ""
            shown.append(f"{port.get('port')}{node}/{port.get('protocol') or 'TCP'}")
    return ",".join(shown) or _NONE


def _service_external(value: Json, _now: datetime) -> Cell:
    spec: Any = value.get("spec")
    if dig(spec, "type") == "ExternalName":
        return str(dig(spec, "externalName"))
    ingress = list_of(dig(value, "status", "loadBalancer", "ingress"))
    found = [str(item.get("ip") or item.get("hostname")) for item in ingress if is_map(item)]
    found += [str(item) for item in list_of(dig(spec, "externalIPs"))]
    return ",".join(found) or ("<pending>" if dig(spec, "type") == "LoadBalancer" else _NONE)


def _node_status(value: Json, now: datetime) -> Cell:
    ready = {"True": "Ready", "False": "NotReady"}.get(str(_condition("Ready")(value, now)), "Unknown")
    return f"{ready},SchedulingDisabled" if dig(value, "spec", "unschedulable") is True else ready


def _node_roles(value: Json, _now: datetime) -> Cell:
    prefix = "node-role.kubernetes.io/"
    labels = map_of(dig(value, "metadata", "labels"))
    return ",".join(sorted(name.removeprefix(prefix) for name in labels if name.startswith(prefix))) or _NONE


def _node_address(kind: str) -> Callable[[Json, datetime], Cell]:
    def cell(value: Json, _now: datetime) -> Cell:
        found = list_of(dig(value, "status", "addresses"))
        return next((str(item.get("address")) for item in found if is_map(item) and item.get("type") == kind), _NONE)

    return cell


def _endpoints(value: Json, _now: datetime) -> Cell:
    """`address:port` of all that are ready, the first three of them."""
    found: list[str] = []
    for subset in list_of(value.get("subsets")):
        ports = [str(port.get("port")) for port in list_of(dig(subset, "ports")) if is_map(port)]
        for address in list_of(dig(subset, "addresses")):
            found += [f"{dig(address, 'ip')}:{port}" for port in ports] or [str(dig(address, "ip"))]
    return _first_three(found) or _NONE


def _first_three(found: list[str]) -> str:
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""  # noqa: PLR2004 - as kubectl shows them
    return ",".join(found[:3]) + more


def _controller(value: Json, _now: datetime) -> Cell:
    """The owner of a revision, as `kind.group/name`."""
    for owner in list_of(dig(value, "metadata", "ownerReferences")):
        if is_map(owner) and owner.get("controller") is True:
            group, slash, _ = str(owner.get("apiVersion")).rpartition("/")
            kind = str(owner.get("kind")).lower() + (f".{group}" if slash else "")
            return f"{kind}/{owner.get('name')}"
    return _NONE


def _slice_ports(value: Json, _now: datetime) -> Cell:
    return ",".join(str(port.get("port")) for port in list_of(value.get("ports")) if is_map(port)) or "<unset>"


def _slice_endpoints(value: Json, _now: datetime) -> Cell:
    found = [str(a) for item in list_of(value.get("endpoints")) for a in list_of(dig(item, "addresses"))]
    return _first_three(found) or "<unset>"


def _event_time(value: Json, now: datetime) -> Cell:
    times = (value.get("lastTimestamp"), value.get("eventTime"), dig(value, "metadata", "creationTimestamp"))
    return age_of(next((time for time in times if time), None), now)


def _first_seen(value: Json, now: datetime) -> Cell:
    return age_of(value.get("firstTimestamp") or dig(value, "metadata", "creationTimestamp"), now)


def _event_object(value: Json, _now: datetime) -> Cell:
    return f"{str(dig(value, 'involvedObject', 'kind')).lower()}/{dig(value, 'involvedObject', 'name')}"


def _age(value: Json, now: datetime) -> Cell:
    return age_of(dig(value, "metadata", "creationTimestamp"), now)


_NAME = Column("Name", _at("metadata", "name", default=""), "The name of the object", format="name")
_AGE = Column("Age", _age, "How long ago the object was made")
_TEMPLATE = ("spec", "template", "spec", "containers")
_POD_COLUMNS = (
    Column("Containers", _containers("name", *_TEMPLATE), wide=True),
    Column("Images", _containers("image", *_TEMPLATE), wide=True),
)
_SELECTOR = Column("Selector", _pairs("spec", "selector", "matchLabels"), wide=True)
_LIVE = Column("Live", _condition("Live"), "Whether every proxy that it concerns runs it", wide=True)
_PLAIN = (_NAME, _AGE)

_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME,
        Column("Ready", _pod_ready, "How many containers are ready"),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        _AGE,
        Column("IP", _at("status", "podIP"), wide=True),
        Column("Node", _at("spec", "nodeName"), wide=True),
        Column("Nominated Node", _at("status", "nominatedNodeName"), wide=True),
        Column("Readiness Gates", lambda _value, _now: _NONE, wide=True),
    ),
    "Deployment": (
        _NAME,
        Column("Ready", _ready_of, "Ready pods of wanted ones"),
        Column("Up-to-date", _number("status", "updatedReplicas"), type="integer"),
        Column("Available", _number("status", "availableReplicas"), type="integer"),
        _AGE,
        *_POD_COLUMNS,
        _SELECTOR,
    ),
    "ReplicaSet": (
        _NAME,
        Column("Desired", _number("spec", "replicas"), type="integer"),
        Column("Current", _number("status", "replicas"), type="integer"),
        Column("Ready", _number("status", "readyReplicas"), type="integer"),
        _AGE,
        *_POD_COLUMNS,
        _SELECTOR,
    ),
    "StatefulSet": (_NAME, Column("Ready", _ready_of), _AGE, *_POD_COLUMNS),
    "Scale": (
        _NAME,
        Column("Desired", _number("spec", "replicas"), type="integer"),
        Column("Available", _number("status", "replicas"), type="integer"),
        _AGE,
    ),
    "Service": (
        _NAME,
        Column("Type", _at("spec", "type", default="ClusterIP")),
        Column("Cluster-IP", _at("spec", "clusterIP")),
        Column("External-IP", _service_external),
        Column("Port(s)", _service_ports),
        _AGE,
        Column("Selector", _pairs("spec", "selector"), wide=True),
    ),
    "Namespace": (_NAME, Column("Status", _at("status", "phase", default="Active")), _AGE),
    "Node": (
        _NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        _AGE,
        Column("Version", _at("status", "nodeInfo", "kubeletVersion", default="")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _at("status", "nodeInfo", "osImage", default=_UNKNOWN), wide=True),
        Column("Kernel-Version", _at("status", "nodeInfo", "kernelVersion", default=_UNKNOWN), wide=True),
        Column("Container-Runtime", _at("status", "nodeInfo", "containerRuntimeVersion"), wide=True),
    ),
    "ControllerRevision": (
        _NAME,
        Column("Controller", _controller),
        Column("Revision", _number("revision"), type="integer"),
        _AGE,
    ),
    "Endpoints": (_NAME, Column("Endpoints", _endpoints), _AGE),
    "ConfigMap": (_NAME, Column("Data", _count("data"), type="integer"), _AGE),
    "Secret": (
        _NAME,
        Column("Type", _at("type", default="Opaque")),
        Column("Data", _count("data"), type="integer"),
        _AGE,
    ),
    "ServiceAccount": (_NAME, Column("Secrets", _count("secrets"), type="integer"), _AGE),
    "EndpointSlice": (
        _NAME,
        Column("AddressType", _at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        _AGE,
    ),
    "Event": (
        Column("Last Seen", _event_time),
        Column("Type", _at("type", default="")),
        Column("Reason", _at("reason", default="")),
        Column("Object", _event_object),
        Column("Subobject", _at("involvedObject", "fieldPath", default=""), wide=True),
        Column("Source", _at("source", "component", default=""), wide=True),
        Column("Message", _at("message", default="")),
        Column("First Seen", _first_seen, wide=True),
        Column("Count", _number("count"), wide=True, type="integer"),
        Column("Name", _at("metadata", "name", default=""), wide=True),
    ),
    "VirtualService": (
        _NAME,
        Column("Gateways", _joined("spec", "gateways"), "Gateways whose traffic it routes"),
        Column("Hosts", _joined("spec", "hosts"), "Hosts whose requests it routes"),
        _AGE,
        _LIVE,
    ),
    "DestinationRule": (_NAME, Column("Host", _at("spec", "host", default="")), _AGE, _LIVE),
    "Gateway": (*_PLAIN, Column("Selector", _pairs("spec", "selector"), wide=True), _LIVE),
    "ServiceEntry": (
        _NAME,
        Column("Hosts", _joined("spec", "hosts")),
        Column("Location", _at("spec", "location", default="")),
        Column("Resolution", _at("spec", "resolution", default="")),
        _AGE,
        _LIVE,
    ),
    "PeerAuthentication": (_NAME, Column("Mode", _at("spec", "mtls", "mode", default="")), _AGE, _LIVE),
}  # fmt: skip


def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns of a kind: name and age where nothing else is known of it."""
    return _COLUMNS.get(kind, _PLAIN)
