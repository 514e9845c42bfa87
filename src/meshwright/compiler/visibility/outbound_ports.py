"""Which outbound listeners a service needs, and so which route configurations a sidecar refers to.

Listeners and routes are made apart, by port and by host; both ask here, so that a listener never names
routes that are not made.
"""

from enum import StrEnum

from meshwright.compiler.names import port_routes, sniffed_routes
from meshwright.model.names import ResourceName
from meshwright.model.protocol import Protocol
from meshwright.model.service import Service, ServicePort

WILDCARD = "0.0.0.0"  # noqa: S104 - Envoy is told to listen on every address of the pod
RESERVED = frozenset({15001, 15006, 15021, 15090})
"""Ports that every sidecar listens at itself, on every address: Envoy refuses a second listener there."""


class Shape(StrEnum):
    """How a service port is listened for."""

    HTTP = "http"  # the wildcard listener of the port, shared by all services
    SNIFFED = "sniffed"  # a listener on the service's own address that looks what is spoken
    STREAM = "stream"  # a listener that forwards connections (TCP, TLS by server name)
    NONE = "none"  # not listened for


def shape(service: Service, port: ServicePort) -> Shape:
    """How sidecars listen for `port` of `service`."""
    if port.protocol is Protocol.UDP or service.alias_of is not None:
        return Shape.NONE
    if is_reserved(service, port):
        return Shape.NONE
    if port.protocol.is_http:
        return Shape.HTTP
    if port.protocol is Protocol.AUTO:
        return Shape.SNIFFED if own_addresses(service) or service.headless else Shape.HTTP
    return Shape.STREAM


def is_reserved(service: Service, port: ServicePort) -> bool:
    """Whether the port would need a listener where the sidecar has one for itself."""
    if port.number not in RESERVED or port.protocol is Protocol.UDP or service.alias_of is not None:
        return False
    return port.protocol.is_http or not (service.headless or own_addresses(service))


def own_addresses(service: Service) -> tuple[str, ...]:
    """The addresses that are the service's alone and no address range."""
    return tuple(address for address in service.addresses if "/" not in address)


def routes_name(service: Service, port: ServicePort) -> ResourceName | None:
    """The sidecar route configuration that serves this port; None for streams."""
    match shape(service, port):
        case Shape.HTTP:
            return port_routes(port.number)
        case Shape.SNIFFED:
            return sniffed_routes(service.host, port.number)
        case _:
            return None
