"""Services and pods become the DNS table of the pods' name server: full names to addresses."""

from collections.abc import Iterable, Mapping

from meshwright.model.planned_pod import PlannedPod
from meshwright.model.service import Registry, Service

Table = tuple[tuple[str, tuple[str, ...]], ...]


def dns_table(services: Iterable[Service], pods: Iterable[PlannedPod]) -> Table:
    """Every name that a pod may look up, sorted. Short forms come from the search domains of the pods.

    A headless service answers with its pods' addresses (and each pod that has a hostname in it gets a name of its
    own); an alias answers with the addresses of what it stands for, when the mesh knows that.
    """
    known = {service.host: service for service in services}
    running = tuple(pods)
    table: dict[str, tuple[str, ...]] = {}
    for service in known.values():
        target = known.get(service.alias_of) if service.alias_of else service
        if target is None:
            continue
        addresses = _addresses(target, running)
        if addresses:
            table[service.host] = addresses
        table.update(_pod_names(service, running))
    return tuple(sorted(table.items()))


def _addresses(service: Service, pods: Iterable[PlannedPod]) -> tuple[str, ...]:
    if service.headless:
        return tuple(sorted(pod.address for pod in _selected(service, pods)))
    return tuple(address for address in service.addresses if "/" not in address)


def _pod_names(service: Service, pods: Iterable[PlannedPod]) -> Mapping[str, tuple[str, ...]]:
    if not service.headless:
        return {}
    return {
        f"{pod.template.hostname or pod.meta.name}.{service.host}": (pod.address,) for pod in _selected(service, pods)
    }


def _selected(service: Service, pods: Iterable[PlannedPod]) -> Iterable[PlannedPod]:
    if service.registry is not Registry.KUBERNETES or not service.selector:
        return ()
    namespace = service.meta.namespace
    return (pod for pod in pods if pod.meta.namespace == namespace and pod.meta.labels.includes(service.selector))
