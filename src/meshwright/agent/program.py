"""A container becomes a program: command line, environment, working directory; or the reason why it cannot run.

Rules are Kubernetes': the container's `command` replaces the image's command and its arguments, `args` alone
replaces the arguments; the container's variables come over the image's; a reference to a missing ConfigMap,
Secret or key keeps the container from starting.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from meshwright.agent.expansion import expand
from meshwright.agent.settings import AgentSettings
from meshwright.images import tools
from meshwright.model import image
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Container, EnvironmentVariable
from meshwright.model.proxy import Interception, Role

T = TypeVar("T")

NO_IMAGE_ENTRY = "NoImageEntry"
CONFIG_ERROR = "CreateContainerConfigError"
BIND_ADDRESS = "MESHWRIGHT_BIND_ADDRESS"
OUTBOUND_PORT = 15001
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """What to start."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(hash=False)
    cwd: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not start; `reason` is the word that status shows."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class References:
    """What containers refer to. Each function gives None for what is not there."""

    catalogue: Callable[[str], image.ImageEntry | None]
    config_map: Callable[[str, str], Mapping[str, str] | None]
    secret: Callable[[str, str], Mapping[str, bytes] | None]


SYSTEM = frozenset({"bin", "sbin", "lib", "lib64", "usr", "etc", "opt", "dev", "proc", "sys"})


def program(container: Container, pod: PlannedPod, settings: AgentSettings, known: References) -> Program | Waiting:
    """The program of one container of a pod."""
    entry = known.catalogue(container.image)
    env = _base(pod, settings) | dict(image.environment(entry, python=settings.python))
    for variable in container.env:
        value = _value(variable, pod, settings, known)
        if isinstance(value, Waiting):
            return value
        env[variable.name] = expand(value, env)
    argv = image.command_line(
        entry,
        tuple(expand(word, env) for word in container.command),
        tuple(expand(word, env) for word in container.args),
        python=settings.python,
        exists=finder(env),
    )
    if argv is None:
        text = f"no catalogue entry for image {container.image}, and the container has no command; add for example:\n"
        return Waiting(NO_IMAGE_ENTRY, text + image.entry_to_add(container.image))
    working_dir = container.working_dir or (entry.working_dir if entry else "")
    return Program(argv, env, working_dir or "/")


def finder(env: Mapping[str, str]) -> Callable[[str], bool]:
    """Whether this machine has a program, given as a path or as a name to look for in the PATH of `env`; ours, which
    are at its end for shells, are not the machine's.
    """
    folders = (each for each in env.get("PATH", DEFAULT_PATH).split(":") if each != str(tools.FOLDER))
    path = ":".join(folders)
    return lambda name: shutil.which(name, path=path) is not None


def _base(pod: PlannedPod, settings: AgentSettings) -> dict[str, str]:
    path = f"{DEFAULT_PATH}:{tools.FOLDER}"
    env = {"PATH": path, tools.INTERPRETER: settings.python, "HOME": "/", "LANG": "C.UTF-8", "HOSTNAME": pod.hostname}
    if settings.interception is not Interception.NONE:
        return env
    env[BIND_ADDRESS] = settings.application_address(pod.address)
    if pod.role is Role.SIDECAR:
        proxy = f"http://{pod.address}:{OUTBOUND_PORT}"
        env |= {"http_proxy": proxy, "no_proxy": f"localhost,127.0.0.1,{env[BIND_ADDRESS]}"}
    return env


def _value(
    variable: EnvironmentVariable, pod: PlannedPod, settings: AgentSettings, known: References
) -> str | Waiting:
    if variable.field_path:
        value = downward(variable.field_path, pod, settings)
        if value is None:
            return Waiting(
                CONFIG_ERROR, f"fieldPath {variable.field_path} of variable {variable.name} is not supported"
            )
        return value
    namespace = pod.meta.namespace
    if variable.config_map:
        data = known.config_map(namespace, variable.config_map)
        return _of_key(data, variable.key, f"configmap {namespace}/{variable.config_map}")
    if variable.secret:
        content = known.secret(namespace, variable.secret)
        value = _of_key(content, variable.key, f"secret {namespace}/{variable.secret}")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return variable.value


def _of_key(data: Mapping[str, T] | None, key: str, what: str) -> T | Waiting:
    if data is None:
        return Waiting(CONFIG_ERROR, f"{what} not found")
    if key not in data:
        return Waiting(CONFIG_ERROR, f"{what} has no key {key}")
    return data[key]


def downward(path: str, pod: PlannedPod, settings: AgentSettings) -> str | None:
    """A field of the pod as the downward API names it; None for fields that are not offered."""
    for prefix, pairs in (("metadata.labels", pod.meta.labels), ("metadata.annotations", pod.meta.annotations)):
        if path.startswith(f"{prefix}['") and path.endswith("']"):
            return pairs.get(path[len(prefix) + 2 : -2])
    simple = {
        "metadata.name": pod.meta.name,
        "metadata.namespace": pod.meta.namespace,
        "metadata.uid": f"{pod.meta.namespace}/{pod.meta.name}",
        "status.podIP": pod.address,
        "status.podIPs": pod.address,
        "status.hostIP": settings.host_address,
        "status.hostIPs": settings.host_address,
        "spec.nodeName": settings.node_name,
        "spec.serviceAccountName": pod.identity.service_account,
    }
    return simple.get(path)


def named_folders(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Folders of the files that a command names by absolute path: a pod sees them even where it has its own (/tmp).

    A program of the user's may lie anywhere; what the system has is visible anyway. Of a program in a `bin` all that
    lies beside it is meant too: an interpreter has its library there, and a virtual environment its packages.
    """
    files = [path for word in argv if word.startswith("/") and (path := Path(word)).is_file()]
    folders = {_home(path) for path in files} | {_home(path.resolve()) for path in files}
    return tuple(sorted(str(folder) for folder in folders if folder.parts[1:2] and folder.parts[1] not in SYSTEM))


def _home(file: Path) -> Path:
    """The folder that a file needs around it."""
    return file.parent.parent if file.parent.name == "bin" else file.parent
