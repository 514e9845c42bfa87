"""A workload: one running instance (a pod, or a VM later) with an address and an identity."""

from dataclasses import dataclass

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.service import ServicePort


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares."""

    number: PortNumber
    name: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a workload is: spiffe://<trust domain>/ns/<namespace>/sa/<service account>."""

    trust_domain: str
    namespace: str
    service_account: str

    @property
    def uri(self) -> str:
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"


@dataclass(frozen=True, slots=True)
class Workload:
    """`address` is the pod's IP. `owner` is the Deployment (or pod) name that telemetry shows.

    `ready` False keeps it out of endpoints (unless the service publishes such). `has_proxy`: traffic to it
    may use the mesh's mutual TLS. Whether the proxy is a gateway: `is_gateway`.
    """

    meta: Meta
    address: str
    service_account: str = "default"
    ports: tuple[ContainerPort, ...] = ()
    owner: str = ""
    ready: bool = True
    has_proxy: bool = True
    is_gateway: bool = False
    node: str = ""
    locality: str = ""

    @property
    def labels(self) -> Labels:
        return self.meta.labels

    @property
    def proxy_name(self) -> ProxyName:
        return ProxyName(f"{self.meta.name}.{self.meta.namespace}")


def target_port(port: ServicePort, workload: Workload) -> PortNumber | None:
    """Where `workload` serves `port`; None when the target is a name that no container port has."""
    if isinstance(port.target, str):
        return next((container.number for container in workload.ports if container.name == port.target), None)
    return port.number if port.target is None else PortNumber(port.target)
