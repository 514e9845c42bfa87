"""The resources that every server of `bench.xds` holds: services with endpoints, a listener and routes, as bytes."""

import base64
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.address_pb2 import Address, SocketAddress
from meshwright.envoyapi.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from meshwright.envoyapi.envoy.config.core.v3.health_check_pb2 import HealthStatus
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt32Value
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ResourceName, TypeUrl

UNLIMITED = (1 << 32) - 1
ROUTED = 10
"""Services that the route configuration knows, at most: it is sent as a whole, and not what is measured here."""


class Held(NamedTuple):
    """One resource: `value` is the serialised message."""

    type_url: TypeUrl
    name: ResourceName
    value: bytes


class Mesh(NamedTuple):
    """All resources once, and for each class the positions of its own."""

    resources: tuple[Held, ...]
    classes: tuple[tuple[int, ...], ...]

    def names(self) -> list[ResourceName]:
        """Of the endpoint assignments."""
        return [each.name for each in self.resources if each.type_url == ENDPOINTS]

    def save(self, path: Path) -> None:
        """For servers in other processes; `load` reads it."""
        resources = [
            {"type": url, "name": name, "value": base64.b64encode(value).decode()}
            for url, name, value in self.resources
        ]
        path.write_text(json.dumps({"resources": resources, "classes": self.classes}))


def load(path: Path) -> Mesh:
    found = json.loads(path.read_text())
    resources = (Held(each["type"], each["name"], base64.b64decode(each["value"])) for each in found["resources"])
    return Mesh(tuple(resources), tuple(tuple(positions) for positions in found["classes"]))


def mesh(services: int, classes: int) -> Mesh:
    """`services` clusters with endpoints for everybody; each class has its own listener and routes."""
    shared = [
        *(_cluster(number) for number in range(services)),
        *(endpoints(number, 0) for number in range(services)),
    ]
    own = [each for number in range(classes) for each in (_listener(number), _routes(number, min(services, ROUTED)))]
    positions = (
        (*range(len(shared)), len(shared) + 2 * number, len(shared) + 2 * number + 1) for number in range(classes)
    )
    return Mesh((*shared, *own), tuple(positions))


def marker(turn: int) -> str:
    """What only the endpoints of this turn contain."""
    return f"turn-{turn:08}"


def endpoints(number: int, turn: int) -> Held:
    """Four endpoints of a service, one of which has a name that says the turn; about 600 bytes."""
    name = _name(number)
    places = [
        LbEndpoint(
            endpoint=Endpoint(
                address=_address(f"10.{number // 250}.{number % 250}.{each}", 9080),
                hostname=f"{marker(turn) if not each else 'pod'}-{each}.shop-{number}.default.svc.cluster.local",
            ),
            load_balancing_weight=UInt32Value(value=1),
            health_status=HealthStatus.HEALTHY,
        )
        for each in range(4)
    ]
    for place in places:
        place.metadata.filter_metadata["envoy.transport_socket_match"]["tlsMode"] = "istio"
    group = LocalityLbEndpoints(lb_endpoints=places, load_balancing_weight=UInt32Value(value=4))
    return _held(ENDPOINTS, name, ClusterLoadAssignment(cluster_name=name, endpoints=[group]))


def _name(number: int) -> str:
    return f"outbound|9080||shop-{number}.default.svc.cluster.local"


def _address(host: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _ads() -> ConfigSource:
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)


def _held(url: TypeUrl, name: str, message: Message) -> Held:
    return Held(url, ResourceName(name), message.SerializeToString(deterministic=True))


def _cluster(number: int) -> Held:
    name = _name(number)
    limits = CircuitBreakers.Thresholds(
        max_connections=UInt32Value(value=UNLIMITED),
        max_pending_requests=UInt32Value(value=UNLIMITED),
        max_requests=UInt32Value(value=UNLIMITED),
        max_retries=UInt32Value(value=UNLIMITED),
        track_remaining=True,
    )
    cluster = Cluster(
        name=name,
        alt_stat_name=f"{name};",
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=_ads()),
        connect_timeout=timedelta(seconds=10),
        lb_policy=Cluster.LEAST_REQUEST,
        circuit_breakers=CircuitBreakers(thresholds=[limits]),
    )
    service = {"host": f"shop-{number}.default.svc.cluster.local", "name": f"shop-{number}", "namespace": "default"}
    cluster.metadata.filter_metadata["istio"]["services"] = [service]
    return _held(CLUSTER, name, cluster)


def _listener(number: int) -> Held:
    name = "0.0.0.0_9080"
    return _held(
        LISTENER, name, Listener(name=name, address=_address("0.0.0.0", 9080), stat_prefix=f"class-{number}")
    )


def _routes(number: int, services: int) -> Held:
    hosts: Iterable[VirtualHost] = (
        VirtualHost(
            name=f"shop-{each}.default.svc.cluster.local:9080",
            domains=[f"shop-{each}.default.svc.cluster.local", f"shop-{each}", f"240.240.0.{each}"],
            routes=[
                Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=_name(each)), name=f"class-{number}")
            ],
        )
        for each in range(services)
    )
    return _held(ROUTES, "80", RouteConfiguration(name="80", virtual_hosts=hosts))
