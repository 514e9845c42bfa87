"""What is wrong in the mesh whoever asks: services, rules, gateways and policies that do not fit together.

Tracked by groups, so that a change looks again at what it concerns. What only one class of clients meets is found
where its resources are built.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain

from meshwright.compiler.resolve import destination_rules, endpoints, peer_authentication, services, virtual_services
from meshwright.compiler.tracked import Derived, Ledger
from meshwright.compiler.visibility.buckets import BUCKETS
from meshwright.compiler.visibility.classes import inbound_ports
from meshwright.compiler.visibility.mesh import Mesh
from meshwright.compiler.visibility.outbound_ports import is_reserved
from meshwright.model import codes
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Hostname, ProxyName
from meshwright.model.place import without_place
from meshwright.model.proxy import Role
from meshwright.model.service import Registry, Resolution, Service
from meshwright.model.virtual_service import VirtualService

Found = tuple[Diagnostic, ...]
HOSTS, RULES, PROXIES = "hosts", "rules", "proxies"


def _reserved(service: Service) -> Iterator[Diagnostic]:
    """Ports that sidecars cannot listen at for their applications."""
    for port in service.ports:
        if is_reserved(service, port):
            yield Diagnostic(codes.PORT_CONFLICT, port.origin, ("every sidecar", str(port.number)))


class Findings:
    """`of_mesh(0)` is everything."""

    def __init__(self, mesh: Mesh, ledger: Ledger) -> None:
        self._mesh = mesh
        self._of_host = Derived[Hostname, Found](ledger, self._host)
        self._of_rule = Derived[tuple[str, str], Found](ledger, self._virtual_service)
        self._of_proxy = Derived[ProxyName, Found](ledger, self._proxy)
        self._in_bucket = Derived[tuple[str, int], Found](ledger, self._bucket)
        self._hosts = Derived[str, frozenset[str]](ledger, self._known_hosts)
        self.of_mesh = Derived[int, Found](ledger, self._all)

    def sweep(self) -> None:
        """Forget what objects that are gone were told about."""
        for table in (self._of_host, self._of_rule, self._of_proxy, self._in_bucket):
            table.keep(lambda _: False)

    def _all(self, _: int) -> Found:
        groups = (self._in_bucket((kind, bucket)) for kind in (HOSTS, RULES, PROXIES) for bucket in range(BUCKETS))
        found = list(chain.from_iterable(groups))
        found += self._gateways()
        for namespace in self._mesh.policed():
            found += peer_authentication.taken(self._mesh.policies_in(namespace)).findings
        return tuple(found)

    def _bucket(self, key: tuple[str, int]) -> Found:
        kind, bucket = key
        if kind == HOSTS:
            ruled = {rule.host for rule in self._mesh.all_rules_in(bucket)}
            found = [self._of_host(host) for host in sorted(ruled.union(self._mesh.hosts(bucket)))]
        elif kind == RULES:
            rules = self._mesh.virtual_services_in(bucket)
            found = [self._of_rule((rule.meta.namespace, rule.meta.name)) for rule in rules]
        else:
            found = [self._of_proxy(name) for name in sorted(proxy.name for proxy in self._mesh.proxies_in(bucket))]
        return tuple(dict.fromkeys(chain.from_iterable(found)))

    def _host(self, host: Hostname) -> Found:
        """Of the services that declare a host, and of the DestinationRules for it."""
        mesh = self._mesh
        declared = sorted(mesh.services_of(host), key=lambda service: service.meta.age)
        found = [*services.taken(declared)]
        for service in declared:
            found += endpoints.findings(service, mesh.selected_by(service))
            found += _reserved(service)
        rules = mesh.rules_for(host)
        for group in destination_rules.groups(rules):
            found += destination_rules.merge(group).findings
        for rule in rules:
            found += self._rule(rule)
        return tuple(found)

    def _proxy(self, name: ProxyName) -> Found:
        """Of the inbound ports of a sidecar."""
        mesh = self._mesh
        proxy = mesh.proxy(name)
        if proxy.role is not Role.SIDECAR:
            return ()
        workload = proxy.workload
        return inbound_ports(workload, mesh.selecting(workload), mesh.policies(workload.meta.namespace)).findings

    def _virtual_service(self, key: tuple[str, str]) -> Found:
        """The whole mesh's hosts are looked through only for the words of a finding."""
        mesh = self._mesh
        rules = mesh.virtual_services_named(*key)
        hosts = [host for rule in rules for host in rule.hosts]
        known = [service for host in hosts for service in mesh.services_of(host)[:1]]
        if self._misses(rules, {service.host for service in known}):
            known = [service for number in range(BUCKETS) for service in mesh.services_in(number)]
        return virtual_services.findings(rules, mesh.gateways(), known, mesh.settings.cluster_domain)

    def _misses(self, rules: tuple[VirtualService, ...], known: set[str]) -> bool:
        suffix = f".svc.{self._mesh.settings.cluster_domain}"
        return any(host.endswith(suffix) and host not in known for rule in rules for host in rule.hosts)

    def _known_hosts(self, _: str) -> frozenset[str]:
        return frozenset(host for bucket in range(BUCKETS) for host in self._mesh.hosts(bucket))

    def _rule(self, rule: DestinationRule) -> Iterator[Diagnostic]:
        if rule.host.startswith("*"):
            return
        found = self._mesh.services_of(rule.host)
        spec = rule.meta.origin.field("spec")
        if not found:
            near = get_close_matches(rule.host, sorted(self._hosts("")), n=1, cutoff=0.8)
            hint = f"did you mean {near[0]}?" if near else f"create the Service, or a ServiceEntry for {rule.host}"
            yield Diagnostic(codes.RULE_WITHOUT_HOST, spec.field("host"), (rule.host, hint))
            return
        for service in found:
            yield from self._subsets(rule, service)

    def _subsets(self, rule: DestinationRule, service: Service) -> Iterator[Diagnostic]:
        if service.resolution is not Resolution.STATIC or service.registry is not Registry.KUBERNETES:
            return
        workloads = self._mesh.selected_by(service)
        for subset in rule.subsets:
            wanted = without_place(subset.labels)
            if workloads and not any(one.labels.includes(wanted) for one in workloads):
                hint = f"{wanted.text} is on none of its {len(workloads)} workloads"
                args = (service.host, subset.name, hint)
                yield Diagnostic(codes.UNUSED_SUBSET, subset.origin.field("labels"), args)

    def _gateways(self) -> Iterator[Diagnostic]:
        proxies = (one for bucket in range(BUCKETS) for one in self._mesh.routers_in(bucket))
        routers = [proxy.workload for proxy in proxies]
        for gateway in self._mesh.gateways():
            if not any(one.labels.includes(gateway.selector) for one in routers):
                labels = sorted({one.labels.text for one in routers})
                hint = f"the gateways' labels are {'; '.join(labels)}" if labels else "deploy a gateway"
                at = gateway.meta.origin.field("spec").field("selector")
                yield Diagnostic(codes.NO_GATEWAY_POD, at, (gateway.selector.text, hint))
