"""The pods of a running mesh, and how a user's words find one of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.agent import control_client
from meshwright.cli.failure import UnreachableFailure, UsageFailure
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.wiring.local_mesh import LocalMesh

WAITING_FOR_THE_USER = frozenset({"NoImageEntry", "CreateContainerConfigError", "CrashLoopBackOff"})
PODS = ("po", "pod", "pods")
DEPLOYMENTS = ("deploy", "deployment", "deployments", "deployment.apps")
STATEFUL_SETS = ("sts", "statefulset", "statefulsets", "statefulset.apps")
_PODS = ("", *PODS)
_OWNERS = (
    *DEPLOYMENTS,
    "rs",
    "replicaset",
    "replicasets",
    "replicaset.apps",
    *STATEFUL_SETS,
)
PROXY_CONTAINER = "istio-proxy"


@dataclass(frozen=True, slots=True)
class ContainerLine:
    """One container as the agent tells it."""

    name: str
    ready: bool
    restarts: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodLine:
    """One pod; `name` is <pod>.<namespace>."""

    name: str
    phase: str
    ready: bool
    proxy_ready: bool
    message: str
    containers: tuple[ContainerLine, ...]

    @property
    def settled(self) -> bool:
        """Ready or done, or waiting for something that only the user can change."""
        return (
            self.fine
            or self.phase == "Failed"
            or any(each.reason in WAITING_FOR_THE_USER for each in self.containers)
        )

    @property
    def fine(self) -> bool:
        """Ready, or all it had to do is done."""
        return self.ready or self.phase == "Succeeded"

    @property
    def why(self) -> str:
        """Why it is not ready, in words."""
        said = [
            f"{each.name}: {each.reason}{f' ({each.message})' if each.message else ''}"
            for each in self.containers
            if not each.ready
        ]
        return "; ".join(filter(None, [self.message, *said])) or self.phase

    @property
    def restarts(self) -> int:
        return sum(each.restarts for each in self.containers)


def pods(mesh: LocalMesh) -> list[PodLine]:
    """All pods, sorted by name; none while the agent does not answer yet."""
    try:
        return [_line(value) for value in asyncio.run(control_client.pods(mesh.data.root))]
    except (Disconnected, OSError):
        return []


def insist_on_pods(mesh: LocalMesh) -> list[PodLine]:
    """All pods. Raises UnreachableFailure when no agent answers."""
    try:
        return [_line(value) for value in asyncio.run(control_client.pods(mesh.data.root))]
    except (Disconnected, OSError):
        raise UnreachableFailure(no_agent(mesh)) from None
    except RemoteError as error:
        raise UnreachableFailure(
            f"the agent of the mesh in {mesh.data.root} answers with an error: {error}"
        ) from None


def no_agent(mesh: LocalMesh) -> str:
    """Why the agent of a mesh that runs does not answer, for a person."""
    if trouble := mesh.trouble():
        return f"the mesh in {mesh.data.root} does not get up: {trouble}"
    return (
        f"the mesh in {mesh.data.root} is starting, or its agent is being restarted: try again in a moment "
        f"(its log: {mesh.data.logs / 'agent.log'})"
    )


def proxies(mesh: LocalMesh) -> list[dict[str, Any]]:
    """All proxies as the agent tells them; none while it does not answer."""
    try:
        return asyncio.run(control_client.proxies(mesh.data.root))
    except (Disconnected, OSError):
        return []


def refusals(told: Sequence[dict[str, Any]]) -> list[str]:
    """What Envoys refuse of their configuration, one sentence each: it has no effect, whatever else is ready."""
    return [
        f"{proxy['name']}: Envoy refuses {', '.join(proxy['refused'])}: {' '.join(proxy['complaints'][-1:]).strip()}"
        for proxy in told
        if proxy["refused"]
    ]


def find_pod(mesh: LocalMesh, words: str, namespace: str) -> PodLine:
    """The pod that is meant by POD, POD.NAMESPACE, deploy/NAME, sts/NAME or NAME (a Deployment's).

    Raises UsageFailure when there is none; of several of one Deployment the first ready one is taken.
    """
    kind, _, rest = words.rpartition("/")
    if kind.lower() not in (*_PODS, *_OWNERS):
        raise UsageFailure(f"{words}: name a pod, deploy/NAME or sts/NAME; {kind}/ is not looked up here")
    known = insist_on_pods(mesh)
    name, _, given = rest.partition(".")
    space = given or namespace
    exact = [pod for pod in known if kind.lower() in _PODS and pod.name == f"{name}.{space}"]
    owned = [] if kind and kind.lower() in _PODS else _of_owner(known, name, space)
    found = exact or owned
    if not found:
        here = ", ".join(sorted(pod.name for pod in known)) or "none"
        raise UsageFailure(f"there is no pod {words} in namespace {space}; there are: {here}")
    return next((pod for pod in found if pod.ready), found[0])


def _of_owner(known: Sequence[PodLine], owner: str, namespace: str) -> list[PodLine]:
    """Pods of a Deployment <owner>-<template>-<pod> or StatefulSet <owner>-<number>."""
    found: list[PodLine] = []
    for pod in known:
        name, _, space = pod.name.partition(".")
        if space == namespace and owner in (name, name.rsplit("-", 2)[0], name.rsplit("-", 1)[0]):
            found.append(pod)
    return found


def _line(value: dict[str, Any]) -> PodLine:
    return PodLine(
        name=value["name"],
        phase=value["phase"],
        ready=value["ready"],
        proxy_ready=value["proxy_ready"],
        message=value["message"],
        containers=tuple(
            ContainerLine(each["name"], each["ready"], each["restarts"], each["reason"], each["message"])
            for each in value["containers"]
        ),
    )
