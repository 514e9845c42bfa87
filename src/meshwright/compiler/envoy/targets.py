"""A destination that a rule names becomes what one class of proxies knows of it: cluster, hash policy, or a finding.

A destination that does not exist keeps the name of the cluster it would have: Envoy answers 503 for it, as with
Istio, instead of sending the requests anywhere else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from meshwright.compiler.features.metrics.messages import may_be_grpc
from meshwright.compiler.names import outbound_cluster
from meshwright.compiler.resolve.traffic_policy import policy_of
from meshwright.compiler.visibility.view import VisibleService
from meshwright.model import codes
from meshwright.model.destination import Destination
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.load_balancing import ConsistentHash
from meshwright.model.names import Hostname, PortNumber, ResourceName, SubsetName
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol
from meshwright.model.service import Service


@dataclass(frozen=True, slots=True)
class Target:
    """One host: its service (None: no such service is visible) and DestinationRule; `hint` fixes a wrong name."""

    host: Hostname
    service: Service | None
    rule: DestinationRule | None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Hashed:
    """What of a request is hashed, and the field that says so."""

    settings: ConsistentHash
    origin: Origin


@dataclass(frozen=True, slots=True)
class Aim:
    """Where requests for one destination go, and what was wrong with it."""

    cluster: ResourceName
    hashed: Hashed | None = None
    findings: tuple[Diagnostic, ...] = ()
    grpc: bool = False
    """The port may speak gRPC."""


def aim(destination: Destination, target: Target, listener_port: PortNumber, origin: Origin) -> Aim:
    """`origin` is the destination's own field. `listener_port` stands in for a port that nobody named."""
    service, host = target.service, target.host
    if service is None:
        port = destination.port or listener_port
        missing = Diagnostic(codes.UNKNOWN_HOST, origin.field("host"), (destination.host, target.hint))
        return Aim(outbound_cluster(port, host, destination.subset), findings=(missing,))
    port, wrong_port = _port(destination, service, listener_port, origin)
    wrong_subset = _check_subset(destination, target, origin)
    cluster = outbound_cluster(port, service.host, destination.subset)
    hashed = hash_of(target.rule, destination.subset, port)
    grpc = any(one.number == port and may_be_grpc(one.protocol) for one in service.ports)
    return Aim(cluster, hashed, wrong_port + wrong_subset, grpc)


def hash_of(rule: DestinationRule | None, subset: SubsetName | None, port: PortNumber) -> Hashed | None:
    """What is hashed for this destination, as the policy that its cluster gets says."""
    chosen = None if rule is None else next((part for part in rule.subsets if part.name == subset), None)
    policy = policy_of(rule, chosen, port)
    hashed = None if policy.load_balancing is None else policy.load_balancing.consistent_hash
    if hashed is None or policy.origin is None:
        return None
    return Hashed(hashed, policy.origin.field("loadBalancer").field("consistentHash"))


def unknown_host_hint(host: Hostname, known: Collection[Hostname]) -> str:
    """Words for the fix of UNKNOWN_HOST."""
    name, _, rest = host.partition(".")
    beside = {one.partition(".")[0]: one for one in known if one.partition(".")[2] == rest}
    near = [beside[one] for one in get_close_matches(name, beside, n=1)]
    near = near or sorted(one for one in known if one.partition(".")[0] == name)
    return f"did you mean {near[0]}?" if near else f"create the Service, or a ServiceEntry for {host}"


def target_of(host: Hostname, services: Mapping[Hostname, VisibleService]) -> VisibleService | None:
    """The service that a host stands for; ExternalName services stand for another."""
    found = services.get(host)
    if found is not None and found.service.alias_of is not None:
        return services.get(found.service.alias_of)
    return found


def _port(
    destination: Destination, service: Service, listener_port: PortNumber, origin: Origin
) -> tuple[PortNumber, tuple[Diagnostic, ...]]:
    ports = tuple(port.number for port in service.ports if port.protocol is not Protocol.UDP)
    known = ", ".join(map(str, ports))
    if destination.port is not None:
        if destination.port in ports:
            return destination.port, ()
        at = origin.field("port").field("number")
        return destination.port, (Diagnostic(codes.UNKNOWN_PORT, at, (service.host, str(destination.port), known)),)
    if len(ports) == 1:
        return ports[0], ()
    if listener_port in ports:
        return listener_port, ()
    return listener_port, (Diagnostic(codes.PORT_NEEDED, origin, (service.host, known)),)


def _check_subset(destination: Destination, target: Target, origin: Origin) -> tuple[Diagnostic, ...]:
    if destination.subset is None:
        return ()
    subsets = target.rule.subsets if target.rule is not None else ()
    if any(subset.name == destination.subset for subset in subsets):
        return ()
    return (Diagnostic(codes.UNKNOWN_SUBSET, origin.field("subset"), (destination.subset, target.host)),)
