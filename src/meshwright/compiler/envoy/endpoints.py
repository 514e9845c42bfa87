"""The endpoints of a service become Envoy's load assignments, one per cluster that asks for them."""

from collections.abc import Iterable, Iterator

from meshwright.compiler.built import Built
from meshwright.compiler.names import outbound_cluster
from meshwright.compiler.proto import Json, address, struct, uint
from meshwright.compiler.resolve.endpoints import Endpoint
from meshwright.envoyapi.envoy.config.core.v3.address_pb2 import Address, Pipe
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import Locality, Metadata
from meshwright.envoyapi.envoy.config.core.v3.health_check_pb2 import HealthStatus
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint as EnvoyEndpoint,
)
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.model.destination_rule import Subset
from meshwright.model.names import ENDPOINTS, PortNumber
from meshwright.model.service import Service, ServicePort

UNIX = "unix://"
MUTUAL_TLS = {"tlsMode": "istio"}


def service_endpoints(
    service: Service, port: ServicePort, subset: Subset | None, endpoints: tuple[Endpoint, ...], *, encrypts: bool
) -> Built:
    """The load assignment of one EDS cluster. `encrypts`: endpoints that can are marked for mutual TLS."""
    name = outbound_cluster(port.number, service.host, subset.name if subset else None)
    members = [one for one in endpoints if one.is_in(subset)]
    return Built(ENDPOINTS, name, assignment(name, port.number, members, encrypts=encrypts))


def assignment(
    name: str, port: PortNumber, endpoints: Iterable[Endpoint], *, encrypts: bool
) -> ClusterLoadAssignment:
    """Grouped by locality, sorted; a locality weighs what its endpoints weigh."""
    groups: dict[str, list[LbEndpoint]] = {}
    for endpoint in endpoints:
        if (made := _member(endpoint, port, encrypts=encrypts)) is not None:
            groups.setdefault(endpoint.locality, []).append(made)
    return ClusterLoadAssignment(cluster_name=name, endpoints=_localities(groups))


def _localities(groups: dict[str, list[LbEndpoint]]) -> Iterator[LocalityLbEndpoints]:
    for locality in sorted(groups):
        members = groups[locality]
        weight = sum(member.load_balancing_weight.value for member in members)
        region, zone, sub_zone = (*locality.split("/"), "", "", "")[:3]
        made = LocalityLbEndpoints(lb_endpoints=members, load_balancing_weight=uint(weight))
        made.locality.CopyFrom(Locality(region=region, zone=zone, sub_zone=sub_zone))
        yield made


def _member(endpoint: Endpoint, port: PortNumber, *, encrypts: bool) -> LbEndpoint | None:
    target = endpoint.port(port)
    if target is None:
        return None
    return LbEndpoint(
        endpoint=EnvoyEndpoint(address=_address(endpoint.address, target)),
        metadata=_metadata(
            endpoint, encrypted=encrypts and endpoint.has_proxy and target not in endpoint.plain_ports
        ),
        load_balancing_weight=uint(max(1, endpoint.weight)),
        health_status=HealthStatus.HEALTHY,
    )


def _address(host: str, port: PortNumber) -> Address:
    if host.startswith(UNIX):
        return Address(pipe=Pipe(path=host.removeprefix(UNIX)))
    return address(host, port)


def _metadata(endpoint: Endpoint, *, encrypted: bool) -> Metadata:
    made = Metadata()
    if encrypted:
        made.filter_metadata["envoy.transport_socket_match"].CopyFrom(struct(MUTUAL_TLS))
    if endpoint.workload:
        facts: dict[str, Json] = {"workload": endpoint.workload}
        made.filter_metadata["istio"].CopyFrom(struct(facts))
    return made
