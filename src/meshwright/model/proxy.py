"""Proxies, and the classes of proxies that get identical bytes."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.names import Namespace, PortNumber, ProxyName
from meshwright.model.origin import ObjectRef
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.protocol import Protocol
from meshwright.model.workload import Workload


class Role(StrEnum):
    """What a proxy does; the value is the node id's first part."""

    SIDECAR = "sidecar"
    ROUTER = "router"


class Interception(StrEnum):
    """How traffic comes to the sidecar, and how its own traffic is told apart."""

    UID = "uid"  # redirected by nftables; the proxy runs as uid 1337
    MARK = "mark"  # redirected; the proxy marks its sockets with 1337 (one uid only)
    NONE = "none"  # no namespaces: loopback addresses and http_proxy; "demo, not enforcing"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy that asks for configuration."""

    workload: Workload
    role: Role
    interception: Interception = Interception.UID
    ingress_sockets: str = ""  # gateways: directory for unix-socket twins of their listeners; "" = none

    @property
    def name(self) -> ProxyName:
        return self.workload.proxy_name


@dataclass(frozen=True, slots=True, order=True)
class InboundPort:
    """One port on which a sidecar takes traffic: what is spoken there and which mutual TLS mode holds.

    `service_port` is the service's number (for the virtual host's name).
    """

    port: PortNumber
    protocol: Protocol
    mode: MutualTlsMode
    service_port: PortNumber
    retry_safe: bool = True


@dataclass(frozen=True, slots=True)
class ProxyClass:
    """Everything that decides a proxy's bytes, and nothing else: equal classes <=> equal bytes.

    `matched` holds the objects whose selectors chose this proxy (never its labels); `rules` are the truth values of
    sourceLabels/sourceNamespace/gateway conditions in scope as (object, field path) that hold;
    `address` is set only where bytes depend on it (interception NONE).
    """

    role: Role
    namespace: Namespace
    interception: Interception
    envoy_version: str
    inbound: tuple[InboundPort, ...] = ()
    passthrough_mode: MutualTlsMode = MutualTlsMode.PERMISSIVE
    matched: tuple[ObjectRef, ...] = ()
    rules: tuple[tuple[ObjectRef, str], ...] = ()
    gateway_ports: tuple[tuple[PortNumber, PortNumber], ...] = ()  # service port -> target port at gateways
    ingress_sockets: str = ""
    address: str = ""


PROXY_NETWORK, APPLICATION_NETWORK = "127.66.", "127.67."


def application_address(pod_address: str) -> str:
    """Interception NONE: where the application of the proxy at `pod_address` listens (127.66.x.y -> 127.67.x.y)."""
    assert pod_address.startswith(PROXY_NETWORK)
    return APPLICATION_NETWORK + pod_address.removeprefix(PROXY_NETWORK)
