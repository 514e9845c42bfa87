"""What the answers to `describe` are made of: the mesh as it is, and where its objects are written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.model.gateway import Gateway
from meshwright.model.hosts import covers
from meshwright.model.names import ProxyName
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.planned_pod import PodStatus
from meshwright.model.published import Published
from meshwright.model.service import Service
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.model.workload import Workload
from meshwright.node.progress import NO_PROGRESS, ProxyProgress

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the mesh. `lines` has the objects whose text is known."""

    snapshot: Snapshot
    published: Published
    statuses: Mapping[ProxyName, PodStatus]
    progress: Mapping[ProxyName, ProxyProgress]
    lines: Mapping[ObjectRef, Lines]

    # ------------------------------------------------------------ proxies

    def proxy(self, name: ProxyName, change: int | None) -> Json:
        """How far a proxy is; `change` is the newest one that it runs."""
        each = self.progress.get(name, NO_PROGRESS)
        return {
            "name": name,
            "connected": each.connected,
            "synced": each.connected and each.change >= self.published.change,
            "change": change,
            "refused": [resource for _, resource, _ in each.refused],
            "complaints": [complaint.message for complaint in each.complaints] if each.refused else [],
        }

    def proxies_that_run(self, ref: ObjectRef) -> list[ProxyName]:
        """The proxies that have something which comes from this object, sorted."""
        classes = {
            key
            for key, resources in self.published.classes.items()
            if any(
                origin.object == ref
                for named in resources.values()
                for item in named.values()
                for _, origin in item.origins
            )
        }
        return sorted(name for name, key in self.published.proxies.items() if key in classes)

    def proxies_with_cluster(self, service: Service) -> list[ProxyName]:
        """The proxies that know a destination of this service, sorted."""
        ends = f"|{service.host}"
        classes = {
            key
            for key, resources in self.published.classes.items()
            if any(name.endswith(ends) for named in resources.values() for name in named)
        }
        return sorted(name for name, key in self.published.proxies.items() if key in classes)

    def gateway_pods(self, gateway: Gateway) -> list[Workload]:
        """The gateway workloads that open its ports."""
        return [
            load for load in self.snapshot.workloads if load.is_gateway and load.labels.includes(gateway.selector)
        ]

    # ------------------------------------------------------------ who belongs to whom

    def endpoints(self, service: Service) -> list[Workload]:
        """The workloads that a service selects."""
        if not service.selector:
            return []
        namespace = service.meta.namespace
        found = [load for load in self.snapshot.workloads if load.meta.namespace == namespace]
        return sorted(
            (load for load in found if load.labels.includes(service.selector)), key=lambda load: load.proxy_name
        )

    def services_of(self, workload: Workload) -> list[Service]:
        """The services that select a workload."""
        return [service for service in self.snapshot.services if workload in self.endpoints(service)]

    def rules_for(self, host: str) -> list[VirtualService]:
        """VirtualServices that take requests of the mesh's clients to this host."""
        found = [rule for rule in self.snapshot.virtual_services if MESH_GATEWAY in rule.gateways]
        return [rule for rule in found if any(covers(each, host) for each in rule.hosts)]

    def rules_to(self, host: str) -> list[VirtualService]:
        """VirtualServices of gateways, or of other hosts, that lead to this one."""
        found = self.rules_for(host)
        return [
            rule for rule in self.snapshot.virtual_services if rule not in found and host in set(_destinations(rule))
        ]

    def policies_for(self, workload: Workload) -> list[PeerAuthentication]:
        """PeerAuthentications that may decide about this workload: its own, its namespace's, the mesh's."""
        root = self.snapshot.settings.root_namespace
        found: list[PeerAuthentication] = []
        for policy in self.snapshot.peer_authentications:
            own = policy.meta.namespace == workload.meta.namespace
            if policy.selector:
                chosen = own and workload.labels.includes(policy.selector)
            else:
                chosen = own or policy.meta.namespace == root
            if chosen:
                found.append(policy)
        return found

    def modes(self, workload: Workload) -> Json | None:
        """The mutual TLS mode of each port of a workload, as its proxy runs it; None without a proxy."""
        key = self.published.proxies.get(workload.proxy_name)
        if key is None:
            return None
        ports = [
            {"port": each.port, "protocol": each.protocol.value, "mode": each.mode.value} for each in key.inbound
        ]
        return {"ports": ports, "other_ports": _known(key.passthrough_mode)}

    # ------------------------------------------------------------ objects

    def ref(self, ref: ObjectRef, path: str = "") -> Json:
        """An object (or a field of it), with file and line where they are known."""
        lines = self.lines.get(ref)
        place = None if lines is None else lines.find(Origin(ref, path))
        return {
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
            "path": path,
            "file": None if place is None else place.file,
            "line": None if place is None else place.line,
        }


def _known(mode: MutualTlsMode) -> str:
    return mode.value


def _destinations(rule: VirtualService) -> Iterable[str]:
    for each in (*rule.http, *rule.tcp, *rule.tls):
        for target in each.route:
            yield target.destination.host
