"""Where Services lead: EndpointSlices and Endpoints from selectors and the readiness of pods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.controllers import pods
from meshwright.controllers.decision import NO_KEYS, NOTHING, Decision, reference
from meshwright.controllers.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from meshwright.controllers.values import compact, dig, labels_of, list_of, map_of, matches, same, text_hash
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Resource, Uid
from meshwright.store.writes import Create, Delete, Update, Write

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
_ENDPOINTS_LABEL, _ENDPOINTS_BY = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
_HEADLESS_LABEL = "service.kubernetes.io/headless"
_MOST = 100  # endpoints in one slice, as in Kubernetes
_HASH = 5

Ports = tuple[tuple[tuple[str, Any], ...], ...]  # the ports of a service as one pod has them


@dataclass(frozen=True, slots=True)
class _Place:
    """One address of one pod."""

    pod: Object
    address: str
    ports: Ports


class EndpointSlices:
    """The controller of both kinds."""

    name = "endpointslice"
    standing = NO_KEYS

    def concerns(self, world: World, thing: Object) -> set[Key]:
        match thing.key.resource:
            case resource if resource == SERVICES:
                return {thing.key}
            case resource if resource == ENDPOINTS:
                return {Key(SERVICES, thing.namespace, thing.name)}
            case resource if resource == ENDPOINT_SLICES:
                return {Key(SERVICES, thing.namespace, thing.labels.get(SERVICE_LABEL, thing.name))}
            case resource if resource == PODS:
                found = world.of(SERVICES, thing.namespace)
                return {each.key for each in found if _selector(each) and matches(_selector(each), thing.labels)}
            case _:
                return set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        del now
        service = world.get(key)
        if service is None or service.leaving or not _selector(service):
            return NOTHING
        if service.spec.get("type") == "ExternalName":
            return NOTHING
        places = _places(world, service)
        slices = _slices(service, places)
        writes = [*_written(world, slices), *_written(world, {_endpoints_key(service): _endpoints(service, places)})]
        mine = (each for each in world.of(ENDPOINT_SLICES, service.namespace) if _is_ours(each, service))
        gone = [Delete(each.key, uid=Uid(each.uid)) for each in mine if each.key not in slices and not each.leaving]
        return Decision((*writes, *gone))


def _selector(service: Object) -> Json:
    return map_of(service.spec.get("selector"))


def _is_ours(found: Object, service: Object) -> bool:
    labels = found.labels
    return labels.get(SERVICE_LABEL) == service.name and labels.get(MANAGED_LABEL) == MANAGED_BY


def _written(world: World, wanted: dict[Key, Json]) -> list[Write]:
    """What differs from what is there."""
    writes: list[Write] = []
    for key, value in wanted.items():
        before = world.get(key)
        if before is None:
            writes.append(Create(key, value))
        elif not before.leaving and not same(_comparable(before.value), _comparable(value)):
            metadata = {**before.metadata, **value["metadata"]}
            writes.append(Update(key, {**value, "metadata": metadata}, before.revision))
    return writes


def _comparable(value: Json) -> Json:
    metadata = map_of(value.get("metadata"))
    kept = {name: metadata.get(name) for name in ("labels", "ownerReferences")}
    return {**value, "metadata": kept}


# ------------------------------------------------------------ addresses


def _places(world: World, service: Object) -> list[_Place]:
    """Of all pods that are selected and have an address, sorted by name; those that end are among them."""
    found: list[_Place] = []
    selector = _selector(service)
    for pod in sorted(world.of(PODS, service.namespace), key=lambda pod: pod.name):
        if not matches(selector, pod.labels) or pods.is_finished(pod):
            continue
        listed = [dig(item, "ip") for item in list_of(pod.status.get("podIPs"))] or [pod.status.get("podIP")]
        ports = _ports(service, pod)
        found += [_Place(pod, str(address), ports) for address in listed if address]
    return found


def _ports(service: Object, pod: Object) -> Ports:
    """As numbers of this pod; a port whose name the pod does not have is left out."""
    found: list[tuple[tuple[str, Any], ...]] = []
    for port in map(map_of, list_of(service.spec.get("ports"))):
        protocol = str(port.get("protocol") or "TCP")
        target = port.get("targetPort")
        number = _number(pod, port.get("port") if target in (None, 0, "") else target, protocol)
        if number is not None:
            made = {"name": port.get("name") or "", "port": number, "protocol": protocol}
            if port.get("appProtocol"):
                made["appProtocol"] = port["appProtocol"]
            found.append(tuple(sorted(made.items())))
    return tuple(found)


def _number(pod: Object, target: object, protocol: str) -> int | None:
    if isinstance(target, int):
        return target
    if isinstance(target, str) and target.isdigit():
        return int(target)
    containers = [*list_of(pod.spec.get("containers")), *list_of(pod.spec.get("initContainers"))]
    for port in (map_of(port) for each in containers for port in list_of(dig(each, "ports"))):
        if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
            return port.get("containerPort")
    return None


def _publishes_all(service: Object) -> bool:
    return service.spec.get("publishNotReadyAddresses") is True


def _target(pod: Object) -> Json:
    return {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}


def _hostname(service: Object, pod: Object) -> str:
    return str(pod.spec.get("hostname") or "") if pod.spec.get("subdomain") == service.name else ""


# ------------------------------------------------------------ EndpointSlice


def _slices(service: Object, places: Sequence[_Place]) -> dict[Key, Json]:
    """One per family of addresses and set of ports, in parts of at most 100; an empty one where there is no pod."""
    groups: dict[tuple[str, Ports], list[_Place]] = {}
    for place in places:
        family = "IPv6" if ":" in place.address else "IPv4"
        groups.setdefault((family, place.ports), []).append(place)
    if not groups:
        groups["IPv4", ()] = []
    found: dict[Key, Json] = {}
    for (family, ports), members in groups.items():
        for part, start in enumerate(range(0, max(1, len(members)), _MOST)):
            name = f"{service.name}-{text_hash([service.uid, family, ports, part], _HASH)}"
            value = _slice(service, (family, ports), members[start : start + _MOST])
            found[Key(ENDPOINT_SLICES, service.namespace, name)] = value
    return found


def _slice(service: Object, shape: tuple[str, Ports], members: Iterable[_Place]) -> Json:
    family, ports = shape
    labels = {**labels_of(service.value), SERVICE_LABEL: service.name, MANAGED_LABEL: MANAGED_BY}
    if service.spec.get("clusterIP") == "None":
        labels[_HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"labels": labels, "ownerReferences": [reference(service)]},
        "addressType": family,
        "endpoints": [_endpoint(service, place) for place in members],
        "ports": [dict(port) for port in ports],
    }


def _endpoint(service: Object, place: _Place) -> Json:
    pod = place.pod
    serving = pods.is_ready(pod)
    fields = {
        "addresses": [place.address],
        "conditions": {
            "ready": _publishes_all(service) or (serving and not pod.leaving),
            "serving": serving,
            "terminating": pod.leaving,
        },
        "hostname": _hostname(service, pod),
        "nodeName": pod.spec.get("nodeName"),
        "targetRef": _target(pod),
    }
    return compact(fields)


# ------------------------------------------------------------ Endpoints


def _endpoints_key(service: Object) -> Key:
    return Key(Resource("", "endpoints"), service.namespace, service.name)


def _endpoints(service: Object, places: Iterable[_Place]) -> Json:
    """The older form of the same: addresses grouped by their ports, without pods that end."""
    subsets: dict[Ports, tuple[list[Json], list[Json]]] = {}
    for place in places:
        everybody = _publishes_all(service)
        if place.pod.leaving and not everybody:
            continue
        ready, waiting = subsets.setdefault(place.ports, ([], []))
        fields = {
            "ip": place.address,
            "hostname": _hostname(service, place.pod),
            "nodeName": place.pod.spec.get("nodeName"),
            "targetRef": _target(place.pod),
        }
        (ready if everybody or pods.is_ready(place.pod) else waiting).append(compact(fields))
    labels = {**labels_of(service.value), _ENDPOINTS_LABEL: _ENDPOINTS_BY}
    made: Json = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"labels": labels, "ownerReferences": [reference(service)]},
    }
    shown = [_subset(ports, ready, waiting) for ports, (ready, waiting) in sorted(subsets.items(), key=str)]
    return {**made, "subsets": shown} if shown else made


def _subset(ports: Ports, ready: list[Json], waiting: list[Json]) -> Json:
    listed = [{name: item for name, item in port if item} for port in ports]
    return compact({"addresses": ready, "notReadyAddresses": waiting, "ports": listed})
