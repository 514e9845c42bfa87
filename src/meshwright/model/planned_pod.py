"""Pods as they are to run: what a Deployment, or a Pod, comes to on this mesh, and how each of them is doing."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.meta import Meta
from meshwright.model.names import Milliseconds, PortNumber, ProxyName
from meshwright.model.pod import PodTemplate
from meshwright.model.proxy import Role
from meshwright.model.workload import Identity

LONGEST_HOSTNAME = 63


@dataclass(frozen=True, slots=True)
class PlannedPod:
    """One pod to run. `meta.labels` are the pod's, `owner` is its Deployment's name (or its own).

    `role` None = without a proxy and without interception. `address` is its IP in the pod network (or its
    loopback address where there are no namespaces). Equal values = nothing to do.
    """

    meta: Meta
    template: PodTemplate
    address: str
    owner: str
    identity: Identity
    role: Role | None

    @property
    def name(self) -> ProxyName:
        return ProxyName(f"{self.meta.name}.{self.meta.namespace}")

    @property
    def hostname(self) -> str:
        """What the pod calls itself: at most 63 letters, where its name may have 253."""
        return self.template.hostname or self.meta.name[:LONGEST_HOSTNAME].rstrip("-.")


@dataclass(frozen=True, slots=True)
class HostForward:
    """A port on the host's 127.0.0.1 that leads to a gateway pod's listener (its unix-socket twin)."""

    host_port: PortNumber
    pod: ProxyName
    listener_port: PortNumber


@dataclass(frozen=True, slots=True)
class DesiredState:
    """All that one machine's agent has to bring about.

    `names` is the DNS table: host name -> addresses. `services` is for pods without a proxy: "address:port" of a
    service -> "address:port" of its ready endpoints, TCP only.
    """

    pods: tuple[PlannedPod, ...] = ()
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    forwards: tuple[HostForward, ...] = ()
    services: tuple[tuple[str, tuple[str, ...]], ...] = ()


class PodPhase(StrEnum):
    """Kubernetes' phases, and the two waiting reasons that users know."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a container `count` times, the same as long as `reason` and `topic` are; `message`
    is the newest. Times in ms since the epoch; counts of another `first` are others'.
    """

    reason: str
    topic: str
    message: str
    warning: bool
    count: int
    first: Milliseconds
    last: Milliseconds


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """`reason` e.g. Running, ContainerCreating, CrashLoopBackOff, Completed, Error, NoImageEntry. `told` is what
    people should hear of beside that, counted since the agent's start.
    """

    name: str
    ready: bool
    restarts: int
    reason: str
    message: str = ""
    pid: int | None = None
    exit_code: int | None = None
    told: tuple[Occurrence, ...] = ()


@dataclass(frozen=True, slots=True)
class PodStatus:
    """How one pod is doing. `ready` = all containers ready and the proxy synced. `started` in ms since the epoch."""

    phase: PodPhase
    ready: bool
    proxy_ready: bool
    containers: tuple[ContainerStatus, ...]
    message: str = ""
    started: Milliseconds | None = None
