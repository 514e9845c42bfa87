"""Services and workloads become endpoints: who serves, where, and whether mutual TLS can be spoken to it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshwright.compiler.resolve.peer_authentication import Policies
from meshwright.model import codes
from meshwright.model.destination_rule import Subset
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.names import PortNumber
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.place import CLUSTER, is_chosen
from meshwright.model.service import Registry, Service, ServicePort, StaticEndpoint
from meshwright.model.workload import Workload, target_port

NO_POLICIES = Policies()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of one service. `ports` maps service ports to the numbers at the endpoint.

    `has_proxy`: something there can end the mesh's TLS; `plain_ports`: service ports where policy forbids it all the
    same. `workload` is Istio's description for telemetry.
    """

    address: str
    ports: tuple[tuple[PortNumber, PortNumber], ...]
    labels: Labels
    weight: int = 1
    has_proxy: bool = False
    plain_ports: tuple[PortNumber, ...] = ()
    ready: bool = True
    identity: str = ""
    locality: str = ""
    workload: str = ""
    source: Workload | None = None

    def is_in(self, subset: Subset | None) -> bool:
        """Whether a subset chooses it; without one, everything is chosen."""
        return subset is None or is_chosen(self.labels, self.locality, subset.labels)

    def port(self, service_port: PortNumber) -> PortNumber | None:
        """The number at the endpoint for a port of the service; None when it does not serve that port."""
        return next((target for number, target in self.ports if number == service_port), None)


def selected(service: Service, candidates: Iterable[Workload]) -> tuple[Workload, ...]:
    """The workloads that a service selects: same namespace, all labels; a service without selector selects none."""
    if not service.selector:
        return ()
    namespace = service.meta.namespace
    return tuple(
        workload
        for workload in candidates
        if workload.meta.namespace == namespace and workload.labels.includes(service.selector)
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What endpoints depend on besides services and workloads: policies by namespace, the trust domain."""

    policies: Mapping[str, Policies]
    trust_domain: str


def endpoints_of(
    service: Service, workloads: Iterable[Workload], by_address: Mapping[str, Workload], around: Surroundings
) -> tuple[Endpoint, ...]:
    """All endpoints of a service, sorted by address: selected workloads, and the listed ones of a ServiceEntry.

    A listed endpoint with the address of a pod is that pod. Those that are not ready are there too, marked so, unless
    the service publishes them.
    """
    found = [_of_workload(service, workload, around) for workload in workloads if workload.address]
    found += [_of_entry(service, listed, by_address.get(listed.address), around) for listed in service.endpoints]
    return tuple(
        sorted(
            found,
            key=lambda endpoint: (endpoint.address, endpoint.ports, endpoint.workload, endpoint.labels.pairs),
        )
    )


def _of_workload(service: Service, workload: Workload, around: Surroundings) -> Endpoint:
    found = ((port.number, target_port(port, workload)) for port in service.ports)
    ports = tuple((number, target) for number, target in found if target is not None)
    return Endpoint(
        address=workload.address,
        ports=ports,
        labels=workload.labels,
        has_proxy=ends_mesh_tls(workload),
        plain_ports=_plain(workload, ports, around),
        ready=workload.ready or service.publish_not_ready,
        identity=identity(around.trust_domain, workload.meta.namespace, workload.service_account),
        locality=workload.locality,
        workload=described(workload),
        source=workload,
    )


def _plain(
    workload: Workload, ports: tuple[tuple[PortNumber, PortNumber], ...], around: Surroundings
) -> tuple[PortNumber, ...]:
    policies = around.policies.get(workload.meta.namespace, NO_POLICIES)
    labels = workload.labels
    return tuple(number for number, target in ports if policies.mode(labels, target) is MutualTlsMode.DISABLE)


def _of_entry(service: Service, listed: StaticEndpoint, pod: Workload | None, around: Surroundings) -> Endpoint:
    numbers = dict(listed.ports)
    namespace = service.meta.namespace
    account = listed.service_account
    named = identity(around.trust_domain, namespace, account) if account else ""
    if pod is not None:
        named = identity(around.trust_domain, pod.meta.namespace, pod.service_account)
    ports = tuple((port.number, numbers.get(port.name) or _declared(port)) for port in service.ports)
    return Endpoint(
        address=listed.address,
        ports=ports,
        labels=listed.labels if listed.labels or pod is None else pod.labels,
        weight=listed.weight,
        has_proxy=ends_mesh_tls(pod) if pod is not None else bool(account),
        plain_ports=_plain(pod, ports, around) if pod is not None else (),
        ready=pod is None or pod.ready or service.publish_not_ready,
        identity=named,
        locality=listed.locality or (pod.locality if pod is not None else ""),
        workload=described(pod) if pod is not None else "",
        source=pod,
    )


def _declared(port: ServicePort) -> PortNumber:
    return PortNumber(port.target) if isinstance(port.target, int) else port.number


def identity(trust_domain: str, namespace: str, service_account: str) -> str:
    """The SPIFFE URI of a workload."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def described(workload: Workload) -> str:
    """Istio's `workload;namespace;canonical name;canonical revision;cluster`; revision "latest" stays empty."""
    labels = dict(workload.labels.pairs)
    owner = workload.owner or workload.meta.name
    name = (
        labels.get("service.istio.io/canonical-name")
        or labels.get("app.kubernetes.io/name")
        or labels.get("app")
        or owner
    )
    revision = (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
        or ""
    )
    return f"{owner};{workload.meta.namespace};{name};{'' if revision == 'latest' else revision};{CLUSTER}"


def findings(service: Service, workloads: tuple[Workload, ...]) -> Iterator[Diagnostic]:
    """What is wrong between a service and its workloads."""
    if service.registry is not Registry.KUBERNETES or not service.selector:
        return
    origin = service.meta.origin.field("spec")
    if not workloads:
        args = (f"{service.meta.ref} ({service.selector.text})",)
        yield Diagnostic(codes.NO_ENDPOINTS, origin.field("selector"), args)
    for port in service.ports:
        if isinstance(port.target, str) and workloads:
            unnamed = [workload for workload in workloads if target_port(port, workload) is None]
            if len(unnamed) == len(workloads):
                yield Diagnostic(codes.TARGET_PORT_UNKNOWN, port.origin.field("targetPort"), (port.target,))


def ends_mesh_tls(workload: Workload) -> bool:
    """A sidecar does, on every port. A gateway speaks what its servers say, and nothing else."""
    return workload.has_proxy and not workload.is_gateway
