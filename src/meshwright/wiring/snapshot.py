"""Objects and planned pods become the compiler's Snapshot; services without an address get one."""

from collections.abc import Mapping
from dataclasses import replace

from meshwright.model.names import ProxyName
from meshwright.model.objects import MeshObjects
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Container
from meshwright.model.proxy import Interception, Proxy, Role
from meshwright.model.service import Resolution, Service
from meshwright.model.settings import MeshSettings
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import ContainerPort, Workload
from meshwright.wiring.addresses import SERVICE_NETWORK, allocate
from meshwright.wiring.planning import drafts, plan


def offline_snapshot(objects: MeshObjects, settings: MeshSettings | None = None) -> Snapshot:
    """The mesh that the objects describe, as if all of it ran and was ready (unless a pod's status denies it)."""
    chosen = settings or MeshSettings()
    ready = {draft.meta.ref: draft.ready for draft in drafts(objects)}
    pods = plan(objects, chosen)
    workloads = tuple(workload(pod, ready=ready.get(pod.meta.ref) is not False) for pod in pods)
    return base_snapshot(objects, chosen, pods, workloads)


def base_snapshot(
    objects: MeshObjects,
    settings: MeshSettings,
    pods: tuple[PlannedPod, ...],
    workloads: tuple[Workload, ...],
    placement: "Placement | None" = None,
) -> Snapshot:
    """Everything but what changes while the mesh runs; `with_workloads` makes the next snapshots from it."""
    where = placement or Placement()
    proxies = (where.proxy(pod, load) for pod, load in zip(pods, workloads, strict=True) if pod.role is not None)
    return Snapshot(
        settings=settings,
        namespaces=objects.namespaces,
        services=with_addresses(objects.services),
        workloads=workloads,
        virtual_services=objects.virtual_services,
        destination_rules=objects.destination_rules,
        gateways=objects.gateways,
        peer_authentications=objects.peer_authentications,
        secrets=objects.secrets,
        proxies=tuple(proxies),
    )


class Placement:
    """How proxies are reached on this machine: interception, and where gateways put their unix sockets."""

    def __init__(
        self,
        interception: Interception = Interception.UID,
        ingress_sockets: Mapping[ProxyName, str] | None = None,
    ) -> None:
        self._interception = interception
        self._sockets = ingress_sockets or {}

    def proxy(self, pod: PlannedPod, load: Workload) -> Proxy:
        """The proxy of one pod, which has a role."""
        role = pod.role or Role.SIDECAR
        return Proxy(load, role, self._interception, self._sockets.get(pod.name, ""))


def with_workloads(snapshot: Snapshot, ready: Mapping[ProxyName, bool]) -> Snapshot:
    """The same mesh with other readiness; workloads that did not change stay the same objects.

    Pods that `ready` does not name are not ready.
    """
    now = tuple(_readiness(load, ready=ready.get(load.proxy_name, False)) for load in snapshot.workloads)
    return replace(snapshot, workloads=now)


def _readiness(load: Workload, *, ready: bool) -> Workload:
    return load if load.ready == ready else replace(load, ready=ready)


def workload(pod: PlannedPod, *, ready: bool) -> Workload:
    """What the compiler needs to know of a pod."""
    return Workload(
        meta=pod.meta,
        address=pod.address,
        service_account=pod.identity.service_account,
        ports=tuple(port for container in pod.template.containers for port in _ports(container)),
        owner=pod.owner,
        ready=ready,
        has_proxy=pod.role is not None,
        is_gateway=pod.role is Role.ROUTER,
    )


def _ports(container: Container) -> tuple[ContainerPort, ...]:
    return container.ports


def with_addresses(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """Services that need a virtual IP and have none get one; the others stay the same objects."""
    taken = {address for service in services for address in service.addresses}
    needy = {str(service.host) for service in services if needs_address(service)}
    given = allocate(needy, SERVICE_NETWORK, taken)
    return tuple(
        replace(service, addresses=(given[service.host],)) if needs_address(service) else service
        for service in services
    )


def needs_address(service: Service) -> bool:
    """As Istio's automatic allocation: not for headless services, aliases, wildcards and original destinations."""
    return (
        not service.addresses
        and not service.headless
        and service.alias_of is None
        and not service.host.startswith("*")
        and service.resolution is not Resolution.NONE
    )
