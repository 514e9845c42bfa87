"""Services and the readiness of pods become what pods without a proxy reach at the addresses of services."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from meshwright.model.protocol import Protocol
from meshwright.model.service import Resolution, Service, ServicePort, StaticEndpoint
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload

Table = tuple[tuple[str, tuple[str, ...]], ...]


def service_table(snapshot: Snapshot) -> Table:
    """Every TCP port of a service as "address:port", with its ready endpoints in the same form; sorted.

    A port without ready endpoints is there with none. Services whose clients choose the endpoint (headless, or
    resolution NONE) are not there. When two services claim the same address and port, the first by name has it.
    """
    pods = {load.address: load for load in snapshot.workloads if load.address}
    namespaces: dict[str, list[Workload]] = {}
    for load in snapshot.workloads:
        namespaces.setdefault(load.meta.namespace, []).append(load)
    table: dict[str, tuple[str, ...]] = {}
    for service in sorted(snapshot.services, key=lambda each: (each.host, each.meta.namespace, each.meta.name)):
        addresses = [address for address in service.addresses if _is_ipv4(address)]
        if not addresses or service.alias_of is not None or service.resolution is Resolution.NONE:
            continue
        selected = tuple(_selected(service, namespaces.get(service.meta.namespace, ())))
        for port in service.ports:
            if port.protocol is Protocol.UDP:
                continue
            endpoints = tuple(sorted(set(_endpoints(service, port, selected, pods))))
            for address in addresses:
                table.setdefault(f"{address}:{port.number}", endpoints)
    return tuple(sorted(table.items()))


def _endpoints(
    service: Service, port: ServicePort, selected: Iterable[Workload], pods: Mapping[str, Workload]
) -> Iterator[str]:
    for load in selected:
        target = _target(port, load)
        if target is not None and load.address and (load.ready or service.publish_not_ready):
            yield f"{load.address}:{target}"
    for listed in service.endpoints:
        pod = pods.get(listed.address)
        if _is_ipv4(listed.address) and (pod is None or pod.ready or service.publish_not_ready):
            yield f"{listed.address}:{_listed_port(port, listed)}"


def _selected(service: Service, candidates: Iterable[Workload]) -> Iterator[Workload]:
    if service.selector:
        yield from (load for load in candidates if load.labels.includes(service.selector))


def _target(port: ServicePort, load: Workload) -> int | None:
    """Where a pod serves the port; None when the target is a name that none of its container ports has."""
    if not isinstance(port.target, str):
        return port.target or port.number
    return next((declared.number for declared in load.ports if declared.name == port.target), None)


def _listed_port(port: ServicePort, listed: StaticEndpoint) -> int:
    fallback = port.target if isinstance(port.target, int) else port.number
    return dict(listed.ports).get(port.name) or fallback


def _is_ipv4(text: str) -> bool:
    """Not for ranges, IPv6 addresses, names and unix sockets."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
