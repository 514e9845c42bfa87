"""A service: a host name with ports, and how its endpoints are found.

Kubernetes Services and the hosts of ServiceEntries are both this.
"""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol


class Resolution(StrEnum):
    """How endpoints are found."""

    STATIC = "STATIC"  # endpoints are known to the mesh (ClusterIP, ServiceEntry STATIC): EDS
    NONE = "NONE"  # the address that the client chose (headless, ServiceEntry NONE): original destination
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class Registry(StrEnum):
    """Where the service was declared."""

    KUBERNETES = "Kubernetes"
    EXTERNAL = "External"  # a ServiceEntry


@dataclass(frozen=True, slots=True)
class ServicePort:
    """`target` is a number, or the name of a container port, or None for the same number."""

    number: PortNumber
    name: str
    protocol: Protocol
    origin: Origin
    target: int | str | None = None


@dataclass(frozen=True, slots=True)
class StaticEndpoint:
    """An endpoint that a ServiceEntry lists: `address` is an IP, a DNS name (resolution DNS) or unix://path.

    `ports` maps port names of the service to port numbers.
    """

    address: str
    origin: Origin
    ports: tuple[tuple[str, PortNumber], ...] = ()
    labels: Labels = Labels()
    weight: int = 1
    service_account: str = ""
    locality: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """`addresses`: VIPs (or CIDRs of a ServiceEntry). `selector` picks workloads of the same namespace.

    `alias_of` is set for ExternalName services: this host is another name for that one.
    `subject_alt_names`: SANs a ServiceEntry wants checked.
    """

    meta: Meta
    host: Hostname
    ports: tuple[ServicePort, ...]
    registry: Registry = Registry.KUBERNETES
    resolution: Resolution = Resolution.STATIC
    addresses: tuple[str, ...] = ()
    selector: Labels = Labels()
    endpoints: tuple[StaticEndpoint, ...] = ()
    mesh_external: bool = False
    headless: bool = False
    alias_of: Hostname | None = None
    subject_alt_names: tuple[str, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    publish_not_ready: bool = False
