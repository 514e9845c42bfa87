"""The mesh while it lives: objects and the readiness of pods change, what is to run and what proxies get follows.

What did not change stays the same object from one round to the next: that is what the compiler's memory lives on.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from meshwright.agent.paths import PodPaths
from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.compiler.compile import Compiler
from meshwright.documents.lines import Lines
from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.planned_pod import DesiredState, HostForward, PlannedPod, PodPhase, PodStatus
from meshwright.model.pod import Pod
from meshwright.model.proxy import Interception, Proxy, Role
from meshwright.model.published import Published
from meshwright.model.service import Service
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Identity, Workload
from meshwright.node.state import Documents
from meshwright.wiring.address_book import AddressBook
from meshwright.wiring.addresses import LOOPBACK_POD_NETWORK, POD_NETWORK, SERVICE_ADDRESSES, SERVICE_NETWORK
from meshwright.wiring.dns_names import dns_table
from meshwright.wiring.explaining import Explainable
from meshwright.wiring.kept import Kept
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.machine import Machine
from meshwright.wiring.node_documents import DocumentWriter
from meshwright.wiring.planning import PodDraft, Roles, written
from meshwright.wiring.service_addresses import service_table
from meshwright.wiring.snapshot import assembled, needs_address, workload
from meshwright.wiring.tls_steps import Step, StepState, TlsSteps
from meshwright.wiring.withheld import Withheld

PodFacts = tuple[str, Role | None, str]  # address, role, trust domain
ProxyFacts = tuple[Role, Interception, str]  # role, interception, folder of the ingress sockets
INGRESS_LABEL, INGRESS_VALUE = "istio", "ingressgateway"


class LiveMesh:
    """`update` with objects, `ready` with the pods' statuses; read `published`, `desired` and `documents`. What needs
    an order among proxies takes `open_steps`; who sees that one has ended calls `take_steps`.

    All three are set without a pause between them, so whoever follows one of them sees all as of the same moment.
    """

    def __init__(
        self, machine: Machine, steps: TlsSteps | None = None, keep: Callable[[StepState], None] | None = None
    ) -> None:
        """`keep` is told how far TLS modes are, each time before that is published."""
        network = LOOPBACK_POD_NETWORK if machine.rung is Rung.LOOPBACK else POD_NETWORK
        self.published: Latest[Published] = Latest(Published({}, {}, {}))
        self.desired: Latest[DesiredState] = Latest(DesiredState())
        self.documents: Latest[Documents] = Latest({})
        self.snapshot = Snapshot()
        self.loaded: LoadedMesh | None = None
        self.steps = steps or TlsSteps()
        self._keep = keep or _nobody_keeps
        self.withheld = Withheld()
        self._machine = machine
        self._statuses: Mapping[ProxyName, PodStatus] = {}
        self._pod_addresses = AddressBook(machine.data_dir / "addresses" / "pods.json", network)
        self._service_addresses = AddressBook(machine.data_dir / SERVICE_ADDRESSES, SERVICE_NETWORK)
        self._services: Kept[Service, str, Service] = Kept(_addressed)
        self._written: Kept[Pod, None, PodDraft] = Kept(written)
        self._pods: Kept[PodDraft, PodFacts, PlannedPod] = Kept(_planned)
        self._workloads: Kept[PlannedPod, bool, Workload] = Kept(_workload)
        self._proxies: Kept[Workload, ProxyFacts, Proxy] = Kept(_proxy)
        self._documents = DocumentWriter(machine)
        self._compiler = Compiler()
        self._number = time.time_ns() // 1_000_000  # of a publication: larger than any before a restart

    @property
    def rung(self) -> str:
        """What its pods run in."""
        return self._machine.rung.value

    def update(self, loaded: LoadedMesh) -> None:
        """Take other objects: plan anew, publish anew."""
        self.loaded = loaded
        self._publish()

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """What proxies have to acknowledge before something that is stored can be in effect."""
        return self.steps.open

    def take_steps(self, ended: Collection[Step]) -> None:
        """Publish what follows on steps that have ended."""
        if self.steps.go_on(ended):
            self._publish()

    def ready(self, statuses: Mapping[ProxyName, PodStatus]) -> None:
        """Take the pods' statuses; nothing is published when no readiness changed and no pod has ended for good."""
        before, self._statuses = self._statuses, statuses
        moved = any(_names(before, says) != _names(statuses, says) for says in (_is_ready, _has_ended))
        if self.loaded is not None and (moved or not self.published.value.proxies):
            self._publish()

    def explainable(self) -> Explainable:
        """The mesh as it is published, to ask it where requests go."""
        forwards = {each.host_port: each.listener_port for each in self._machine.forwards}
        return Explainable(self.snapshot, self.published.value, Lines(), forwards)

    def _publish(self) -> None:
        assert self.loaded is not None, "update comes first"
        objects = self.loaded.objects
        pods = self._plan()
        workloads = tuple(self._workloads(pod, self._is_ready(pod)) for pod in pods)
        proxies = tuple(
            self._proxies(load, (pod.role, self._machine.interception, self._sockets(pod)))
            for pod, load in zip(pods, workloads, strict=True)
            if pod.role is not None and not self._is_over(pod)
        )
        services = self._with_addresses(objects.services)
        settings = replace(self.loaded.settings, records=True)
        stepped = self.steps.in_effect(objects, settings.root_namespace)
        in_effect = self.withheld.in_effect(stepped)
        snapshot = assembled(in_effect.objects, settings, services, workloads, proxies)
        self.snapshot = replace(snapshot, also_accepted=self.steps.also)
        for kept in (self._services, self._written, self._pods, self._workloads, self._proxies):
            kept.turn()
        self._number += 1
        documents = self._documents.of(self.loaded, proxies, pods)
        if documents != self.documents.value:
            self.documents.set(documents)
        compiled = self._compiler.compile(self.snapshot)
        found = compiled.diagnostics
        if in_effect.findings:  # what is said of a version before is not said of the text that is stored
            earlier = self.withheld.replaced
            now = (each for each in found if each.origin.object not in earlier)
            found = tuple(dict.fromkeys((*now, *in_effect.findings)))
        before = self.published.value
        self._keep(self.steps.state)
        self.published.set(replace(compiled, change=self._number, diagnostics=found))
        self.steps.published(before, self.published.value)
        desired = self._desired(pods)
        if desired != self.desired.value:
            self.desired.set(desired)

    def _plan(self) -> tuple[PlannedPod, ...]:
        """Every Pod object is to run: controllers make them from Deployments."""
        assert self.loaded is not None
        objects = self.loaded.objects
        drafts = tuple(self._written(pod, None) for pod in objects.pods)
        fixed = {str(draft.meta.ref): draft.address for draft in drafts if draft.address}
        addresses = self._pod_addresses.of((str(draft.meta.ref) for draft in drafts), fixed)
        roles = Roles.of(objects)
        domain = self.loaded.settings.trust_domain
        return tuple(
            self._pods(draft, (addresses[str(draft.meta.ref)], roles.role(draft.meta, draft.template), domain))
            for draft in drafts
        )

    def _with_addresses(self, services: tuple[Service, ...]) -> tuple[Service, ...]:
        needy = {str(service.host) for service in services if needs_address(service)}
        reserved = {address for service in services for address in service.addresses}
        given = self._service_addresses.of(needy, {}, reserved)
        return tuple(
            self._services(service, given[service.host]) if needs_address(service) else service
            for service in services
        )

    def _is_ready(self, pod: PlannedPod) -> bool:
        status = self._statuses.get(pod.name)
        return status is not None and _is_ready(status)

    def _is_over(self, pod: PlannedPod) -> bool:
        """Whether it has ended for good, and its Envoy with it: nobody is to wait for that."""
        status = self._statuses.get(pod.name)
        return status is not None and _has_ended(status)

    def _sockets(self, pod: PlannedPod) -> str:
        if pod.role is not Role.ROUTER:
            return ""
        return str(PodPaths.of(self._machine.data_dir, self._machine.rung, pod.name).inside.ingress)

    def _desired(self, pods: tuple[PlannedPod, ...]) -> DesiredState:
        gateways = [pod for pod in pods if is_ingress(pod)]
        ingress = next(filter(self._is_ready, gateways), next(iter(gateways), None))
        led = tuple(
            HostForward(PortNumber(each.host_port), ingress.name, PortNumber(each.listener_port))
            for each in self._machine.forwards
            if ingress is not None
        )
        return DesiredState(pods, dns_table(self.snapshot.services, pods), led, service_table(self.snapshot))


def _nobody_keeps(state: StepState) -> None:
    """After a start everything is as it is stored."""


def _is_ready(status: PodStatus) -> bool:
    return status.ready


def _has_ended(status: PodStatus) -> bool:
    return status.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)


def _names(statuses: Mapping[ProxyName, PodStatus], says: Callable[[PodStatus], bool]) -> set[ProxyName]:
    return {name for name, status in statuses.items() if says(status)}


def is_ingress(pod: PlannedPod) -> bool:
    """Whether the host's ports lead to this pod."""
    return pod.role is Role.ROUTER and pod.meta.labels.get(INGRESS_LABEL) == INGRESS_VALUE


def _addressed(service: Service, address: str) -> Service:
    return replace(service, addresses=(address,))


def _planned(draft: PodDraft, facts: PodFacts) -> PlannedPod:
    address, role, trust_domain = facts
    namespace = draft.meta.namespace
    identity = Identity(trust_domain, namespace, draft.template.service_account or "default")
    return PlannedPod(draft.meta, draft.template, address, draft.owner, identity, role)


def _workload(pod: PlannedPod, ready: bool) -> Workload:  # noqa: FBT001 - Kept passes it on
    return workload(pod, ready=ready)


def _proxy(load: Workload, facts: ProxyFacts) -> Proxy:
    role, interception, sockets = facts
    return Proxy(load, role, interception, sockets)
