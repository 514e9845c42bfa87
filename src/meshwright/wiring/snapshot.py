"""Objects and planned pods become the compiler's Snapshot; services without an address get one."""

from dataclasses import replace

from meshwright.model.objects import MeshObjects
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.proxy import Proxy, Role
from meshwright.model.service import Resolution, Service
from meshwright.model.settings import MeshSettings
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload
from meshwright.wiring.addresses import SERVICE_NETWORK, allocate
from meshwright.wiring.planning import drafts, plan


def offline_snapshot(objects: MeshObjects, settings: MeshSettings | None = None) -> Snapshot:
    """The mesh that the objects describe, as if all of it ran and was ready (unless a pod's status denies it)."""
    chosen = settings or MeshSettings()
    ready = {draft.meta.ref: draft.ready for draft in drafts(objects)}
    pods = plan(objects, chosen)
    workloads = tuple(workload(pod, ready=ready.get(pod.meta.ref) is not False) for pod in pods)
    proxies = tuple(Proxy(load, pod.role) for pod, load in zip(pods, workloads, strict=True) if pod.role is not None)
    return assembled(objects, chosen, with_addresses(objects.services), workloads, proxies)


def assembled(
    objects: MeshObjects,
    settings: MeshSettings,
    services: tuple[Service, ...],
    workloads: tuple[Workload, ...],
    proxies: tuple[Proxy, ...],
) -> Snapshot:
    """What users wrote as it is, beside what was made of it: services with addresses, workloads, proxies."""
    return Snapshot(
        settings=settings,
        namespaces=objects.namespaces,
        services=services,
        workloads=workloads,
        virtual_services=objects.virtual_services,
        destination_rules=objects.destination_rules,
        gateways=objects.gateways,
        peer_authentications=objects.peer_authentications,
        secrets=objects.secrets,
        proxies=proxies,
    )


def workload(pod: PlannedPod, *, ready: bool) -> Workload:
    """What the compiler needs to know of a pod."""
    return Workload(
        meta=pod.meta,
        address=pod.address,
        service_account=pod.identity.service_account,
        ports=tuple(port for container in pod.template.serving for port in container.ports),
        owner=pod.owner,
        ready=ready,
        has_proxy=pod.role is not None,
        is_gateway=pod.role is Role.ROUTER,
    )


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
