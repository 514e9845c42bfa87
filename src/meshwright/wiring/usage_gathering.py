"""Which process belongs to which container, asked of the holder, the agent and the supervisor's state."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from meshwright.agent.control_client import pods as agent_pods
from meshwright.processes import procfs
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.processes.holder_client import HolderClient
from meshwright.processes.state import MARKER, POD_MARKER, DataDirectory, read_json
from meshwright.telemetry.usage import Restarts, Usage

SECONDS = 10.0
AWAY = (RemoteError, Disconnected, OSError)
Container = tuple[str, str, str]  # namespace, pod, container


async def follow_usage(data: DataDirectory, usage: Usage) -> None:
    """Look again and again, for ever. While the holder or the agent is away the last look stands."""
    while True:
        with contextlib.suppress(*AWAY):
            first = await _first_processes(data)
            restarts = [count for pod in await agent_pods(data.root) for count in _restarts(pod)]
            containers = await asyncio.to_thread(_containers, data.mesh_id(), first)
            usage.take(containers, _own(data), restarts)
        await asyncio.sleep(SECONDS)


def _restarts(pod: Mapping[str, Any]) -> Iterator[Restarts]:
    name, _, namespace = str(pod["name"]).rpartition(".")
    for container in pod["containers"]:
        yield Restarts(namespace, name, container["name"], container["restarts"])


async def _first_processes(data: DataDirectory) -> dict[int, Container]:
    """The process of each container, as this machine counts it."""
    found: dict[int, Container] = {}
    async with HolderClient.session(data.holder_socket) as holder:
        for each in (await holder.list()).processes:
            if each.exit is not None:
                continue
            with contextlib.suppress(RemoteError):
                handle = await holder.pidfd(each.pod, each.name)
                os.close(handle.pidfd)
                if handle.pid is not None:
                    name, _, namespace = each.pod.rpartition(".")
                    found[handle.pid] = (namespace, name, each.name)
    return found


def _containers(mesh_id: str, first: dict[int, Container]) -> dict[int, Container]:
    """These processes and their descendants."""
    found = dict(first)
    for process in procfs.marked_by(MARKER, mesh_id, also=POD_MARKER):
        for ancestor in _line(process.pid):
            if ancestor in first:
                found[process.pid] = first[ancestor]
                break
    return found


def _line(pid: int) -> Iterator[int]:
    """A process, its parent, and so on."""
    current: int | None = pid
    while current is not None and current > 1:
        yield current
        current = procfs.parent_of(current)


def _own(data: DataDirectory) -> dict[int, str]:
    saved = read_json(data.supervisor_state)
    own = {int(saved["pid"]): "supervisor"} if "pid" in saved else {}
    return own | {int(child["pid"]): name for name, child in saved.get("children", {}).items() if child.get("pid")}
