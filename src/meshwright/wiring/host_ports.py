"""The ports of this machine that lead to the ingress, as the Service of the ingress shows them.

Istio's pages read them there: `spec.ports[?(@.name=="http2")].nodePort` with the `hostIP` of the gateway's pod.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from meshwright.store.names import Author, Key, Resource
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store
from meshwright.store.writes import Update, Write
from meshwright.wiring.live_mesh import INGRESS_LABEL, INGRESS_VALUE
from meshwright.wiring.run_file import Forward

SERVICES = Resource("", "services")
_OPEN = ("LoadBalancer", "NodePort")
Json = dict[str, Any]


def with_host_ports(objects: Mapping[Key, Json], forwards: Iterable[Forward]) -> dict[Key, Json]:
    """The same objects; a Service of the ingress has the host's ports as its node ports."""
    ports = {each.listener_port: each.host_port for each in forwards}
    return {key: _shown(value, ports) if key.resource == SERVICES else value for key, value in objects.items()}


async def show_host_ports(store: Store, forwards: Iterable[Forward], author: Author) -> None:
    """The same for what is stored: the mesh may have been started on other ports than before. Raises StoreError."""
    ports = {each.listener_port: each.host_port for each in forwards}
    page = await store.list(Query(Scope(SERVICES)))
    writes: list[Write] = []
    for version in page.items:
        value = version.value()
        shown = _shown(value, ports)
        if shown != value:
            writes.append(Update(version.key, shown, version.revision))
    if writes:
        await store.transact(writes, author, "ports of the ingress")


def _shown(service: Json, ports: Mapping[int, int]) -> Json:
    spec: Json = service.get("spec") or {}
    selector: object = spec.get("selector")
    if spec.get("type") not in _OPEN or not isinstance(selector, dict) or not isinstance(spec.get("ports"), list):
        return service
    if cast("Json", selector).get(INGRESS_LABEL) != INGRESS_VALUE:
        return service
    listed = [_port(cast("Json", each), ports) if isinstance(each, dict) else each for each in spec["ports"]]
    return {**service, "spec": {**spec, "ports": listed}}


def _port(port: Json, ports: Mapping[int, int]) -> Json:
    target = port.get("targetPort", port.get("port"))
    return {**port, "nodePort": ports[target]} if isinstance(target, int) and target in ports else port
