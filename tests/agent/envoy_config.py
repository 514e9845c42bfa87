"""The least that pods need of Envoy here: everything in and out is passed on, over HTTP where it comes in."""

from collections.abc import Iterable, Mapping
from typing import Any

from meshwright.agent.paths import PodPaths
from meshwright.model.names import CLUSTER, LISTENER, TYPE_PREFIX, Namespace, ProxyName
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Published
from tests.xds import envoys
from tests.xds.mesh import HCM, ROUTER, resource, resources

_MARK = [{"level": 1, "name": 36, "int_value": 1337, "state": "STATE_PREBIND"}]
_TCP = TYPE_PREFIX + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_ORIGINAL = {
    "name": "original",
    "typed_config": {"@type": TYPE_PREFIX + "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"},
}
_ANNOUNCED = {
    "name": "announced",
    "typed_config": {"@type": TYPE_PREFIX + "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"},
}


def bootstrap(pod: PlannedPod, paths: PodPaths) -> Mapping[str, object]:
    made = envoys.bootstrap(paths.inside.xds_socket, paths.inside.admin_socket)
    made["node"]["id"] = f"{pod.role}~{pod.address}~{pod.name}~{pod.meta.namespace}.svc.cluster.local"
    made["admin"]["address"]["pipe"]["mode"] = 0o660
    return made


def _hcm(prefix: str, cluster: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    config = {"name": prefix, "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [route]}]}
    filters = [{"name": "router", "typed_config": {"@type": ROUTER}}]
    manager = {"@type": HCM, "stat_prefix": prefix, "route_config": config, "http_filters": filters}
    return {"filters": [{"name": "hcm", "typed_config": manager}]}


def _cluster(name: str, *, mark: bool, **more: Any) -> EncodedResource:
    bind: dict[str, Any] = dict(more.pop("upstream_bind_config", {"source_address": _address("0.0.0.0", 0)}))
    if mark:
        bind["socket_options"] = _MARK
    return resource(CLUSTER, name, {"name": name, "connect_timeout": "2s", "upstream_bind_config": bind, **more})


def _address(address: str, port: int) -> dict[str, Any]:
    return {"address": address, "port_value": port}


def _listener(name: str, address: dict[str, Any], chain: dict[str, Any], **more: Any) -> EncodedResource:
    return resource(LISTENER, name, {"name": name, "address": address, "filter_chains": [chain], **more})


def _sidecar(*, mark: bool) -> Iterable[EncodedResource]:
    original = {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}
    yield _cluster("out", mark=mark, **original)
    yield _cluster(
        "inbound|9080||", mark=mark, **original, upstream_bind_config={"source_address": _address("127.0.0.6", 0)}
    )
    tcp = {"filters": [{"name": "tcp", "typed_config": {"@type": _TCP, "stat_prefix": "out", "cluster": "out"}}]}
    for name, port, chain, direction in (
        ("o", 15001, tcp, "OUTBOUND"),
        ("i", 15006, _hcm("in", "inbound|9080||"), "INBOUND"),
    ):
        yield _listener(
            name,
            {"socket_address": _address("0.0.0.0", port)},
            chain,
            listener_filters=[_ORIGINAL],
            traffic_direction=direction,
        )


def _static(name: str, address: str, port: int, *, mark: bool) -> EncodedResource:
    member = {"endpoint": {"address": {"socket_address": _address(address, port)}}}
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [member]}]}
    return _cluster(name, mark=mark, type="STATIC", load_assignment=load)


def _gateway(socket_folder: str, to: str, *, mark: bool) -> Iterable[EncodedResource]:
    yield _static("to", to, 9080, mark=mark)
    pipe = {"pipe": {"path": f"{socket_folder}/8080.sock", "mode": 0o660}}
    yield _listener("twin", pipe, _hcm("gw", "to"), listener_filters=[_ANNOUNCED])


def _loopback(pod: PlannedPod, application: str) -> Iterable[EncodedResource]:
    yield _static("in", application, 9080, mark=False)
    yield _listener("i", {"socket_address": _address(pod.address, 15006)}, _hcm("in", "in"))


def published(
    pods: Iterable[PlannedPod], interception: Interception, ingress_folder: str, application: Mapping[str, str]
) -> Published:
    """Gateways lead to the first pod that is no gateway. `application` maps addresses (loopback only)."""
    mark = interception is Interception.MARK
    proxies: dict[ProxyName, ProxyClass] = {}
    classes: dict[ProxyClass, Any] = {}
    first = next((pod.address for pod in pods if pod.role is not Role.ROUTER), "10.244.0.2")
    for pod in pods:
        if pod.role is None:
            continue
        address = pod.address if interception is Interception.NONE else ""
        one = ProxyClass(pod.role, Namespace("demo"), interception, "1.40.0", address=address)
        if pod.role is Role.ROUTER:
            made = _gateway(ingress_folder, first, mark=mark)
        elif interception is Interception.NONE:
            made = _loopback(pod, application[pod.address])
        else:
            made = _sidecar(mark=mark)
        proxies[pod.name] = one
        classes[one] = resources(*made)
    return Published(proxies, classes, dict.fromkeys(classes, ()))
