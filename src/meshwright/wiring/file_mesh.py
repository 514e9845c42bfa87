"""A mesh whose configuration was loaded once: what is to run, and what its proxies get as pods become ready."""

from collections.abc import Mapping
from pathlib import Path

from meshwright.agent.paths import PodPaths
from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.compiler.compile import Compiler
from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.planned_pod import DesiredState, HostForward, PlannedPod, PodStatus
from meshwright.model.proxy import Interception, Role
from meshwright.model.published import Published
from meshwright.model.snapshot import Snapshot
from meshwright.wiring.addresses import LOOPBACK_POD_NETWORK, POD_NETWORK
from meshwright.wiring.dns_names import dns_table
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.planning import plan
from meshwright.wiring.run_file import Forward
from meshwright.wiring.service_addresses import Table, service_table
from meshwright.wiring.snapshot import Placement, base_snapshot, with_workloads, workload

INGRESS_LABEL, INGRESS_VALUE = "istio", "ingressgateway"


class FileMesh:
    """Holds the newest `published`: nothing until the first `ready`, which is called with the pods' statuses."""

    def __init__(self, loaded: LoadedMesh, rung: Rung, interception: Interception, data_dir: Path) -> None:
        network = LOOPBACK_POD_NETWORK if rung is Rung.LOOPBACK else POD_NETWORK
        self.loaded = loaded
        self.pods: tuple[PlannedPod, ...] = plan(loaded.objects, loaded.settings, network)
        self._compiler = Compiler()
        sockets = {
            pod.name: str(PodPaths.of(data_dir, rung, pod.name).inside.ingress)
            for pod in self.pods
            if pod.role is Role.ROUTER
        }
        workloads = tuple(workload(pod, ready=False) for pod in self.pods)
        placement = Placement(interception, sockets)
        self.snapshot: Snapshot = base_snapshot(loaded.objects, loaded.settings, self.pods, workloads, placement)
        self.published: Latest[Published] = Latest(Published({}, {}, {}))

    def desired(self, forwards: tuple[Forward, ...]) -> DesiredState:
        """Everything that the agent has to bring about."""
        ingress = next((pod for pod in self.pods if is_ingress(pod)), None)
        led = tuple(
            HostForward(PortNumber(each.host_port), ingress.name, PortNumber(each.listener_port))
            for each in forwards
            if ingress is not None
        )
        return DesiredState(self.pods, dns_table(self.snapshot.services, self.pods), led, self.services())

    def services(self) -> Table:
        """What pods without a proxy reach at the addresses of services, by the readiness told last."""
        return service_table(self.snapshot)

    def ready(self, statuses: Mapping[ProxyName, PodStatus]) -> None:
        """Publish what follows from the pods' readiness; nothing happens when it is as before."""
        now = with_workloads(self.snapshot, {name: status.ready for name, status in statuses.items()})
        if now.workloads == self.snapshot.workloads and self.published.value.proxies:
            return
        self.snapshot = now
        self.published.set(self._compiler.compile(self.snapshot))


def is_ingress(pod: PlannedPod) -> bool:
    """Whether the host's ports lead to this pod."""
    return pod.role is Role.ROUTER and pod.meta.labels.get(INGRESS_LABEL) == INGRESS_VALUE
