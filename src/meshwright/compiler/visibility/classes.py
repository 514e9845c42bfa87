"""A proxy becomes its class: everything that decides its bytes, and nothing else."""

from collections.abc import Iterable, Iterator

from meshwright.compiler.resolve.peer_authentication import Accepted, Policies
from meshwright.compiler.visibility.conditions import label_conditions
from meshwright.model import codes
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.names import Namespace, PortNumber
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import InboundPort, Interception, Proxy, ProxyClass
from meshwright.model.service import Service
from meshwright.model.virtual_service import VirtualService
from meshwright.model.workload import Workload, target_port

NOT_A_SERVICE = PortNumber(0)


def sidecar_class(
    proxy: Proxy,
    services: Iterable[Service],
    policies: Accepted,
    rules: Iterable[DestinationRule],
    virtual_services: Iterable[VirtualService],
    envoy_version: str,
) -> ProxyClass:
    """`services`: those that select the workload, oldest first. `rules`: the DestinationRules of its namespace that
    have a selector. `virtual_services`: those with conditions on source labels.
    """
    workload = proxy.workload
    inbound = inbound_ports(workload, services, policies).value
    return ProxyClass(
        role=proxy.role,
        namespace=Namespace(workload.meta.namespace),
        interception=proxy.interception,
        envoy_version=envoy_version,
        inbound=inbound,
        passthrough_mode=policies.mode(workload.labels),
        matched=tuple(sorted(rule.meta.ref for rule in rules if workload.labels.includes(rule.workload_selector))),
        rules=label_conditions(virtual_services, workload.labels),
        address=_address(proxy),
    )


def router_class(
    proxy: Proxy,
    services: Iterable[Service],
    gateways: Iterable[Gateway],
    rules: Iterable[DestinationRule],
    envoy_version: str,
) -> ProxyClass:
    """`services`: those that select the gateway's pod; `gateways`: those that select it."""
    workload = proxy.workload
    bound = tuple(gateways)
    refs = {gateway.meta.ref for gateway in bound}
    refs.update(rule.meta.ref for rule in rules if workload.labels.includes(rule.workload_selector))
    asked = {server.port for gateway in bound for server in gateway.servers}
    return ProxyClass(
        role=proxy.role,
        namespace=Namespace(workload.meta.namespace),
        interception=proxy.interception,
        envoy_version=envoy_version,
        matched=tuple(sorted(refs)),
        gateway_ports=tuple(sorted(_targets(workload, services, asked))),
        ingress_sockets=proxy.ingress_sockets,
        address=_address(proxy),
    )


def inbound_ports(
    workload: Workload, services: Iterable[Service], policies: Accepted | Policies
) -> Checked[tuple[InboundPort, ...]]:
    """What the workload's sidecar takes: one entry per target port, the oldest service's; and ports for which a
    policy of the workload's own says something though no service has them.
    """
    found: dict[PortNumber, tuple[InboundPort, Service]] = {}
    findings: list[Diagnostic] = []
    for service in services:
        for port in service.ports:
            target = target_port(port, workload)
            if target is None or port.protocol is Protocol.UDP:
                continue
            mode = policies.mode(workload.labels, target)
            made = InboundPort(target, port.protocol, mode, port.number, port.protocol is not Protocol.GRPC)
            first, owner = found.setdefault(target, (made, service))
            if first.protocol is not made.protocol:
                args = (str(owner.meta.ref), str(target))
                findings.append(Diagnostic(codes.PORT_CONFLICT, port.origin, args))
    ports = {number: made for number, (made, _) in found.items()}
    for number in policies.special_ports(workload.labels):
        mode = policies.mode(workload.labels, number)
        ports.setdefault(number, InboundPort(number, Protocol.AUTO, mode, NOT_A_SERVICE))
    return Checked(tuple(ports[number] for number in sorted(ports)), tuple(findings))


def _targets(
    workload: Workload, services: Iterable[Service], asked: set[PortNumber]
) -> Iterator[tuple[PortNumber, PortNumber]]:
    """Where the gateway listens for the ports that its Gateways name, where that is another number."""
    seen: set[PortNumber] = set()
    for service in services:
        for port in service.ports:
            target = target_port(port, workload)
            if port.number in asked and port.number not in seen and target is not None:
                seen.add(port.number)
                if target != port.number:
                    yield port.number, target


def _address(proxy: Proxy) -> str:
    return proxy.workload.address if proxy.interception is Interception.NONE else ""
