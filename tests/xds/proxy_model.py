"""A proxy that behaves as Envoy does, without Envoy: for many histories in little time.

It warms clusters until their endpoints come (and acknowledges them only then), asks for what its clusters and
listeners name, refuses poison (with or without its siblings, with or without naming it), and checks every step:
a route never names a cluster that is not there and warm, and no cluster in use is taken away.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import cache

from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.envoyapi.resource import encode
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ResourceName, TypeUrl, Version
from meshwright.model.published import EncodedResource, Resources

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
POISON = "poison"


@dataclass(frozen=True)
class Mesh:
    """A consistent configuration: clusters with a version, listeners with a version, the cluster of each route."""

    clusters: tuple[tuple[str, str], ...]
    listeners: tuple[tuple[str, str], ...]
    routes: tuple[tuple[str, str], ...]


@cache
def encoded(url: TypeUrl, name: str, content: str) -> EncodedResource:
    messages = {
        CLUSTER: lambda: Cluster(name=name, alt_stat_name=content),
        ENDPOINTS: lambda: ClusterLoadAssignment(cluster_name=name),
        LISTENER: lambda: Listener(name=name, stat_prefix=content),
        ROUTES: lambda: RouteConfiguration(name=name, internal_only_headers=[content]),
    }
    version, pieces = encode(name, messages[url]())
    return EncodedResource(url, ResourceName(name), Version(version), pieces)


def resources(mesh: Mesh) -> Resources:
    return {
        CLUSTER: {ResourceName(n): encoded(CLUSTER, n, v) for n, v in mesh.clusters},
        ENDPOINTS: {ResourceName(n): encoded(ENDPOINTS, n, "") for n, _ in mesh.clusters},
        LISTENER: {ResourceName(n): encoded(LISTENER, n, v) for n, v in mesh.listeners},
        ROUTES: {ResourceName(n): encoded(ROUTES, n, c) for n, c in mesh.routes},
    }


@dataclass
class Holding:
    version: str
    content: str


@dataclass
class ModelProxy:
    """Feed it responses with `take`; what it says is in `out`."""

    whole_refusals: bool = False  # like a broken field rule: nothing of a refused response is applied
    names_culprits: bool = True
    out: deque[DeltaDiscoveryRequest] = field(default_factory=deque[DeltaDiscoveryRequest])
    has: dict[TypeUrl, dict[str, Holding]] = field(default_factory=lambda: {url: {} for url in TYPES})
    warming: dict[str, Holding] = field(default_factory=dict[str, Holding])
    waiting_acks: list[tuple[str, set[str]]] = field(default_factory=list[tuple[str, set[str]]])
    subscribed: dict[TypeUrl, set[str]] = field(default_factory=lambda: {ENDPOINTS: set(), ROUTES: set()})
    asked: set[TypeUrl] = field(default_factory=set[TypeUrl])
    broken: list[str] = field(default_factory=list[str])
    received: int = 0

    def connect(self) -> None:
        """First requests of a new stream, with what is held."""
        self.out.clear()
        self.waiting_acks.clear()
        self.asked = set()
        for name in self.warming.keys() & self.has[ENDPOINTS].keys():
            self._warm(name)  # after Envoy's own time-out: nobody can tell the new server that endpoints are missing
        self.out.clear()
        for url in TYPES:
            has = self.has[url] | (self.warming if url == CLUSTER else {})
            versions = {name: holding.version for name, holding in has.items()}
            names = sorted(self.subscribed.get(url, ()))
            if url in self.subscribed and not names:
                continue
            versions = {n: v for n, v in versions.items() if url not in self.subscribed or n in names}
            self.asked.add(url)
            self.out.append(
                DeltaDiscoveryRequest(
                    type_url=url, resource_names_subscribe=names, initial_resource_versions=versions
                )
            )

    def take(self, data: bytes) -> None:
        response = DeltaDiscoveryResponse.FromString(data)
        self.received += len(response.resources)
        url = TypeUrl(response.type_url)
        new = {
            item.name: Holding(item.version, self._content(url, item.resource.value)) for item in response.resources
        }
        bad = [name for name, holding in new.items() if POISON in holding.content]
        good = {} if bad and self.whole_refusals else {n: h for n, h in new.items() if n not in bad}
        pending = self._apply(url, good)
        if not (bad and self.whole_refusals):
            for name in response.removed_resources:
                self._remove(url, name)
        self._resubscribe()
        if bad:
            words = "; ".join(f"{name}: it is poison" for name in bad) if self.names_culprits else "no"
            refusal = DeltaDiscoveryRequest(type_url=url, response_nonce=response.nonce)
            refusal.error_detail.message = words
            self.out.append(refusal)
        elif pending:
            self.waiting_acks.append((response.nonce, pending))
        else:
            self.out.append(DeltaDiscoveryRequest(type_url=url, response_nonce=response.nonce))

    def _content(self, url: TypeUrl, value: bytes) -> str:
        if url == CLUSTER:
            return Cluster.FromString(value).alt_stat_name
        if url == LISTENER:
            return Listener.FromString(value).stat_prefix
        return RouteConfiguration.FromString(value).internal_only_headers[0] if url == ROUTES else ""

    def _apply(self, url: TypeUrl, new: dict[str, Holding]) -> set[str]:
        """What must warm before this response is acknowledged."""
        if url == CLUSTER:
            changed = {n: h for n, h in new.items() if self.warming.get(n, self.has[url].get(n)) != h}
            self.warming.update(changed)
            return set(changed)
        for name, holding in new.items():
            if url in self.subscribed and name not in self.subscribed[url]:
                continue  # nobody here wants it
            self.has[url][name] = holding
            if url == ENDPOINTS:
                self._warm(name)
            if url == ROUTES and holding.content not in self.has[CLUSTER]:
                self.broken.append(f"route {name} names the cluster {holding.content}, which is not there")
        return set()

    def _warm(self, name: str) -> None:
        if name in self.warming:
            self.has[CLUSTER][name] = self.warming.pop(name)
        for nonce, names in list(self.waiting_acks):
            names.discard(name)
            if not names:
                self.waiting_acks.remove((nonce, names))
                self.out.append(DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=nonce))

    def _remove(self, url: TypeUrl, name: str) -> None:
        if url == CLUSTER:
            if name in {route.content for route in self.has[ROUTES].values()}:
                self.broken.append(f"the cluster {name} is taken away while a route names it")
            self.warming.pop(name, None)
            self.has[ENDPOINTS].pop(name, None)
            self._warm(name)
        if url == ENDPOINTS:
            self._warm(name)  # it stays as it is, and nobody waits for it any more
        else:
            self.has[url].pop(name, None)

    def _resubscribe(self) -> None:
        """Ask for what clusters and listeners name; a listener's route has its name."""
        wants = {
            ENDPOINTS: self.has[CLUSTER].keys() | self.warming.keys(),
            ROUTES: set(self.has[LISTENER]),
        }
        for url, names in wants.items():
            more, less = set(names) - self.subscribed[url], self.subscribed[url] - set(names)
            if more or less:
                self.subscribed[url] = set(names)
                for name in less:
                    self.has[url].pop(name, None)
                self.asked.add(url)
                self.out.append(
                    DeltaDiscoveryRequest(
                        type_url=url, resource_names_subscribe=sorted(more), resource_names_unsubscribe=sorted(less)
                    )
                )
