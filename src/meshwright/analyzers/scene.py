"""The mesh as analyzers look at it: what was read, what was resolved, what was compiled, with indexes on demand."""

from collections.abc import Iterable
from functools import cached_property

from meshwright.model.gateway import Gateway
from meshwright.model.hosts import covers
from meshwright.model.labels import Labels
from meshwright.model.names import Hostname, PortNumber, ProxyName
from meshwright.model.objects import MeshObjects
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.published import Published
from meshwright.model.service import Registry, Service
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})


class Scene:
    """One moment of the mesh. `published` is the compilation of `snapshot`, which was made of `objects`."""

    def __init__(self, snapshot: Snapshot, objects: MeshObjects, published: Published) -> None:
        self.snapshot = snapshot
        self.objects = objects
        self.published = published
        self._selected: dict[tuple[str, Labels], tuple[Workload, ...]] = {}

    # ------------------------------------------------------------ services

    @cached_property
    def _by_host(self) -> dict[str, list[Service]]:
        found: dict[str, list[Service]] = {}
        for service in self.snapshot.services:
            found.setdefault(str(service.host), []).append(service)
        return found

    def services_of(self, host: Hostname) -> tuple[Service, ...]:
        """The services that declare exactly this host."""
        return tuple(self._by_host.get(str(host), ()))

    def services_under(self, pattern: Hostname) -> tuple[Service, ...]:
        """The services whose host is the pattern or, where it has a wildcard, is covered by it."""
        if not pattern.startswith("*"):
            return self.services_of(pattern)
        return tuple(service for service in self.snapshot.services if covers(pattern, service.host))

    @cached_property
    def _selecting(self) -> dict[ProxyName, list[Service]]:
        found: dict[ProxyName, list[Service]] = {}
        for service in self.snapshot.services:
            for load in self.selected_by(service):
                found.setdefault(load.proxy_name, []).append(service)
        return found

    def selecting(self, load: Workload) -> tuple[Service, ...]:
        """The Kubernetes Services that select a workload."""
        return tuple(self._selecting.get(load.proxy_name, ()))

    # ------------------------------------------------------------ workloads

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Namespaces with workloads."""
        return frozenset(load.meta.namespace for load in self.snapshot.workloads)

    @cached_property
    def _by_label(self) -> dict[tuple[str, str, str], list[Workload]]:
        found: dict[tuple[str, str, str], list[Workload]] = {}
        for load in self.snapshot.workloads:
            for key, value in load.labels.pairs:
                found.setdefault((load.meta.namespace, key, value), []).append(load)
        return found

    def workloads_in(self, namespace: str) -> tuple[Workload, ...]:
        """All workloads of a namespace."""
        return self.picked(namespace, Labels())

    def picked(self, namespace: str, selector: Labels) -> tuple[Workload, ...]:
        """The workloads of a namespace that have all of these labels."""
        key = (namespace, selector)
        if key not in self._selected:
            rarest = min(
                (self._by_label.get((namespace, *pair), []) for pair in selector.pairs), key=len, default=None
            )
            among: Iterable[Workload] = self.snapshot.workloads if rarest is None else rarest
            here = (load for load in among if load.meta.namespace == namespace)
            self._selected[key] = tuple(load for load in here if load.labels.includes(selector))
        return self._selected[key]

    def selected_by(self, service: Service) -> tuple[Workload, ...]:
        """The workloads behind a Kubernetes Service; () for the hosts of ServiceEntries."""
        if service.registry is not Registry.KUBERNETES or not service.selector:
            return ()
        return self.picked(service.meta.namespace, service.selector)

    def mode_of(self, load: Workload, port: PortNumber) -> MutualTlsMode | None:
        """The mutual TLS mode of a port of a sidecar, as it was compiled; None for workloads without a sidecar."""
        proxy_class = self.published.proxies.get(load.proxy_name)
        if proxy_class is None or load.is_gateway:
            return None
        modes = (inbound.mode for inbound in proxy_class.inbound if inbound.port == port)
        return next(modes, proxy_class.passthrough_mode)

    # ------------------------------------------------------------ gateways

    @cached_property
    def routers(self) -> tuple[Workload, ...]:
        """The workloads that are gateways."""
        return tuple(load for load in self.snapshot.workloads if load.is_gateway)

    @cached_property
    def gateways(self) -> dict[str, Gateway]:
        """By `<namespace>/<name>`."""
        return {gateway_name(gateway): gateway for gateway in self.snapshot.gateways}

    @cached_property
    def bound(self) -> frozenset[str]:
        """The names of gateways to which a VirtualService is bound."""
        return frozenset(name for rule in self.snapshot.virtual_services for name in rule.gateways)


def gateway_name(gateway: Gateway) -> str:
    """As VirtualServices name it: `<namespace>/<name>`."""
    return f"{gateway.meta.namespace}/{gateway.meta.name}"


def listed(values: Iterable[object], nothing: str = "none") -> str:
    """Values in order, each once."""
    return ", ".join(map(str, dict.fromkeys(values))) or nothing
