"""What a user wants to run: pods, and the Deployments that make them. Read by the agent, not by the compiler."""

from dataclasses import dataclass, field
from enum import StrEnum

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Milliseconds
from meshwright.model.origin import Origin
from meshwright.model.workload import ContainerPort


class ProbeType(StrEnum):
    """How a probe asks."""

    HTTP = "httpGet"
    TCP = "tcpSocket"
    EXEC = "exec"


@dataclass(frozen=True, slots=True)
class Probe:
    """Kubernetes' probe. `port` is a number or the name of a container port."""

    type: ProbeType
    port: int | str = 0
    path: str = "/"
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay: Milliseconds = Milliseconds(0)
    period: Milliseconds = Milliseconds(10_000)
    timeout: Milliseconds = Milliseconds(1_000)
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Hook:
    """What is done right after a container's start, or before it is told to end: what an HTTP or exec probe asks
    (`action`; its times mean nothing here), or nothing for `sleep`.
    """

    action: Probe | None = None
    sleep: Milliseconds = Milliseconds(0)


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """`field_path` is set for the downward API (metadata.name, metadata.namespace, status.podIP, ...);
    `config_map`/`secret` with `key` for references.
    """

    name: str
    value: str = ""
    field_path: str = ""
    config_map: str = ""
    secret: str = ""
    key: str = ""


class VolumeType(StrEnum):
    """Where the files of a volume come from; `other` is what this mesh does not mount."""

    EMPTY_DIR = "emptyDir"
    CONFIG_MAP = "configMap"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class KeyPath:
    """One key of a ConfigMap or Secret as a file below the volume; `mode` None = the volume's."""

    key: str
    path: str
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """`source` is the ConfigMap's or Secret's name (of type `other`: the field that says what it is). Without
    `items` every key is a file.
    """

    name: str
    type: VolumeType
    origin: Origin
    source: str = ""
    items: tuple[KeyPath, ...] = ()
    mode: int = 0o644
    optional: bool = False


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """Where a container sees a volume, or `sub_path` of it; `path` is absolute and has no slash at its end."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False


class RestartPolicy(StrEnum):
    """What becomes of a container that has ended."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `command` and `args` are () when the image decides; an init container that `stays` runs beside
    the others instead of before them.
    """

    name: str
    image: str
    origin: Origin
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvironmentVariable, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    mounts: tuple[VolumeMount, ...] = ()
    # Names of pods that are made offline are hashes of what is shown.
    stays: bool = field(default=False, repr=False)
    post_start: Hook | None = field(default=None, repr=False)
    pre_stop: Hook | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """What each pod of a Deployment looks like; also the body of a bare Pod."""

    labels: Labels
    annotations: Labels
    service_account: str
    containers: tuple[Container, ...]
    hostname: str = ""
    subdomain: str = ""
    termination_grace: Milliseconds = Milliseconds(30_000)
    volumes: tuple[Volume, ...] = ()
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    init_containers: tuple[Container, ...] = field(default=(), repr=False)

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Everything that runs at some time."""
        return (*self.containers, *self.init_containers)

    @property
    def serving(self) -> tuple[Container, ...]:
        """What runs as long as the pod does."""
        return (*self.containers, *(each for each in self.init_containers if each.stays))


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that a user wrote. `address` is status.podIP when the document has one (kubectl get -o yaml)."""

    meta: Meta
    template: PodTemplate
    address: str = ""
    ready: bool | None = None  # from status, None when there is none


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment or StatefulSet: `replicas` pods of one template."""

    meta: Meta
    replicas: int
    selector: Labels
    template: PodTemplate
    stateful: bool = False
