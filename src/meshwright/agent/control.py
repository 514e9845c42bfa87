"""What a running agent answers on its socket `run/agent.sock`: lines of JSON, for the CLI of the same user.

Operations: `pods` (how each pod is doing), `proxies` (how far each Envoy is), `logs` (the files of a pod's output),
`admin` (ask a pod's Envoy; the answer's body comes as a descriptor), `proxy` (what one Envoy should run and says that
it runs; a descriptor too), `lag` (how late its event loop is), `stop` (end the mesh in order; the answer comes at
once).
"""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from meshwright.agent.admin_query import answer_of
from meshwright.agent.control_client import agent_socket
from meshwright.agent.machine import Machine
from meshwright.agent.proxy_facts import proxy_facts
from meshwright.agent.tables import Tables
from meshwright.asynctools.loop_lag import LoopLag
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import PodStatus
from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.server import Answer, Connection, Server
from meshwright.processes.spool import spool

Statuses = Callable[[], Mapping[ProxyName, PodStatus]]


class Control:
    """The answers come from the very values that the agent works with."""

    def __init__(self, machine: Machine, statuses: Statuses, tables: Tables, stop: Callable[[], None]) -> None:
        self._machine = machine
        self._statuses = statuses
        self._tables = tables
        self._stop = stop
        self._lag = LoopLag()

    async def serve(self) -> None:
        """Answer until cancelled."""
        path = agent_socket(self._machine.settings.data_dir)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = Server(path, self._handle)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._lag.run())
                await server.serve(tasks)
        finally:
            path.unlink(missing_ok=True)

    async def _handle(self, connection: Connection, operation: str, fields: Fields) -> Answer:
        del connection
        match operation:
            case "pods":
                return self._pods(), []
            case "proxies":
                return self._proxies(), []
            case "lag":
                return {"seconds": self._lag.worst}, []
            case "logs":
                return self._logs(fields.text("pod"), fields.text("container", "")), []
            case "admin":
                name = self._known(fields.text("pod"))
                status, body = await answer_of(self._machine.paths(name).here.admin_socket, fields.text("target"))
                return {"status": status, "descriptors": 1}, [body]
            case "proxy":
                name = self._known(fields.text("pod"))
                facts = proxy_facts(self._machine.ports, name, content=fields.flag("content", default=False))
                return {"descriptors": 1}, [spool(json.dumps(facts).encode())]
            case "stop":
                self._stop()
                return {}, []
            case _:
                raise BadRequest(f"there is no operation {operation[:80]!r}", "unknown-operation")

    def _pods(self) -> dict[str, Any]:
        pods = [{"name": name, **dataclasses.asdict(status)} for name, status in sorted(self._statuses().items())]
        return {"pods": pods, "rung": self._machine.settings.rung, "problems": self._tables.problems}

    def _proxies(self) -> dict[str, Any]:
        shown: list[dict[str, Any]] = []
        for name, status in sorted(self._statuses().items()):
            progress = self._machine.ports.proxies.status_of(name)
            if not progress.connected and not status.proxy_ready:
                continue
            shown.append(
                {
                    "name": name,
                    "ready": status.proxy_ready,
                    "connected": progress.connected,
                    "synced": progress.synced,
                    "refused": sorted(resource for _, resource in progress.refused),
                    "complaints": [complaint.message for complaint in progress.complaints],
                }
            )
        return {"proxies": shown}

    def _known(self, pod: str) -> ProxyName:
        name = ProxyName(pod)
        if name not in self._statuses():
            raise BadRequest(f"there is no pod {pod}", "not-found")
        return name

    def _logs(self, pod: str, container: str) -> dict[str, Any]:
        status = self._statuses()[self._known(pod)]
        names = [shown.name for shown in status.containers]
        if container and container not in names:
            raise BadRequest(f"pod {pod} has no container {container}; it has {', '.join(names)}", "not-found")
        pod_name, _, namespace = pod.partition(".")
        folder = self._machine.data.logs
        files = {
            each: str(folder / f"{namespace}_{pod_name}_{each}.log") for each in names if container in ("", each)
        }
        return {"files": files}
