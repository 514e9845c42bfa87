"""VirtualService: how requests for some hosts are routed."""

from dataclasses import dataclass

from meshwright.model.destination import Destination
from meshwright.model.direct_response import DirectResponse
from meshwright.model.fault import Fault
from meshwright.model.header_operations import HeaderOperations
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.mirror import Mirror
from meshwright.model.names import Hostname, Milliseconds, Namespace, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.redirect import Redirect
from meshwright.model.request_match import RequestMatch
from meshwright.model.retry import Retry
from meshwright.model.rewrite import Rewrite

MESH_GATEWAY = "mesh"


@dataclass(frozen=True, slots=True)
class WeightedDestination:
    """One entry of http[].route: weights are relative; entries of weight 0 are dropped when others have weight."""

    destination: Destination
    weight: int
    headers: HeaderOperations
    origin: Origin


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One entry of spec.http. Exactly one of `route` (not empty), `redirect`, `direct_response` acts.

    `matches` () matches all. `timeout` None = no timeout; `retry` None = the mesh's default.
    """

    origin: Origin
    name: str = ""
    matches: tuple[RequestMatch, ...] = ()
    route: tuple[WeightedDestination, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    timeout: Milliseconds | None = None
    retry: Retry | None = None
    fault: Fault | None = None
    mirrors: tuple[Mirror, ...] = ()
    headers: HeaderOperations = HeaderOperations()


@dataclass(frozen=True, slots=True)
class StreamMatch:
    """Conditions on a TCP or TLS connection; `sni_hosts` is set for tls rules only."""

    origin: Origin
    port: PortNumber | None = None
    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    source_labels: Labels = Labels()
    source_namespace: Namespace | None = None
    gateways: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StreamRule:
    """One entry of spec.tcp or spec.tls."""

    origin: Origin
    matches: tuple[StreamMatch, ...]
    route: tuple[WeightedDestination, ...]


@dataclass(frozen=True, slots=True)
class VirtualService:
    """`hosts` are expanded to full names (or wildcards, or IPs); `gateways` are `mesh` or `<namespace>/<name>`,
    and (mesh,) when the user gave none. `export_to` holds namespaces, `.` already resolved, or `*`.
    """

    meta: Meta
    hosts: tuple[Hostname, ...]
    gateways: tuple[str, ...]
    http: tuple[HttpRule, ...] = ()
    tcp: tuple[StreamRule, ...] = ()
    tls: tuple[StreamRule, ...] = ()
    export_to: tuple[str, ...] = ("*",)
