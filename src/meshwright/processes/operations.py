"""What the holder does for its clients: one method per operation of the protocol (docs/processes.md lists them)."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from meshwright.processes import network, services
from meshwright.processes.children import Child, Children
from meshwright.processes.client import Disconnected, RemoteError, connected
from meshwright.processes.identities import UidPlan
from meshwright.processes.journal import guarded
from meshwright.processes.messages import PROTOCOL_VERSION, BadRequest, Fields, PodSpec, SpawnSpec
from meshwright.processes.outputs import Outputs
from meshwright.processes.pods import Pods
from meshwright.processes.resolver import POD as OWN_POD
from meshwright.processes.resolver import Resolver
from meshwright.processes.sandbox import Rung
from meshwright.processes.server import Answer, Connection, Server
from meshwright.processes.state import DataDirectory

_EXEC = "exec-"
_HANGUP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a holder knows about its sandbox from the start; `subnet` is None in the rung `loopback`."""

    data: DataDirectory
    rung: Rung
    subnet: network.Subnet | None
    plan: UidPlan


class Holder:
    """The state of one holder and its operations."""

    def __init__(self, sandbox: Sandbox, group: asyncio.TaskGroup) -> None:
        self._sandbox = sandbox
        self._group = group
        self.children = Children(self._ended)
        self.pods = Pods(sandbox.data, sandbox.subnet, sandbox.plan, self.children)
        self.resolver: Resolver | None = None
        if sandbox.subnet is not None:
            self.resolver = Resolver(sandbox.data, sandbox.subnet.gateway, sandbox.plan, self.children)
        self.server: Server | None = None
        self.outputs = Outputs()
        self.finish = asyncio.Event()
        self._execs: dict[str, Connection] = {}
        self._exec_number = 0

    async def handle(self, connection: Connection, operation: str, fields: Fields) -> Answer:
        """Carry out one request."""
        match operation:
            case "hello":
                return self._hello(), []
            case "add_pods":
                return await self._add_pods(fields), []
            case "remove_pod":
                await self.pods.remove(self.pods.get(fields.pod()))
                return {}, []
            case "spawn":
                return self._spawn(fields), []
            case "exec":
                return self._exec(connection, fields), []
            case "signal":
                return self._signal(fields), []
            case _:
                return await self._handle_other(connection, operation, fields)

    async def _handle_other(self, connection: Connection, operation: str, fields: Fields) -> Answer:
        match operation:
            case "list":
                return self._list(), []
            case "watch":
                connection.watching = True
                return self._list(), []
            case "forget":
                self.children.forget(fields.pod(), fields.name())
                return {}, []
            case "pidfd":
                return self._pidfd(self._running(fields.pod(), fields.name()))
            case "socket":
                return self._socket(fields)
            case "dns" | "services":
                await self._replace(operation, fields)
                return {}, []
            case "forward" | "unforward":
                return await self._forward(operation, fields), []
            case "shutdown":
                self.finish.set()
                return {}, []
            case _:
                raise BadRequest(f"there is no operation {operation[:80]!r}", "unknown-operation")

    def _hello(self) -> dict[str, Any]:
        sandbox = self._sandbox
        return {
            "protocol": PROTOCOL_VERSION,
            "mesh": sandbox.data.mesh_id(),
            "rung": sandbox.rung,
            "exclusion": sandbox.plan.exclusion,
            "uids": sandbox.plan.app_count or 1,
            "subnet": str(sandbox.subnet.network) if sandbox.subnet else "",
            "nameserver": sandbox.subnet.gateway if sandbox.subnet else "",
        }

    async def _add_pods(self, fields: Fields) -> dict[str, Any]:
        values = fields.items("pods")
        if not all(isinstance(value, dict) for value in values):
            raise BadRequest("pods must be a list of objects")
        pods = await self.pods.add([PodSpec.decode(Fields(value)) for value in values])
        return {"pods": [pod.describe() for pod in pods]}

    def _spawn(self, fields: Fields) -> dict[str, Any]:
        spec = SpawnSpec.decode(fields)
        if spec.name.startswith(_EXEC):
            raise BadRequest(f"names with {_EXEC} are the holder's")
        output = self.outputs.open(spec.output, self.pods.uid_for(spec)) if spec.output else None
        try:
            launch = self.pods.launch_for(spec, (None, output, output))
            before = os.fstat(output).st_size if output is not None else 0
            child = self.children.start(spec.pod, spec.name, spec.role, launch)
            if output is not None:
                self.outputs.begin(spec.output, before)
        finally:
            if output is not None:
                os.close(output)
        return child.describe()

    def _exec(self, connection: Connection, fields: Fields) -> dict[str, Any]:
        """Run a program with the client's own stdin, stdout and stderr; its end comes as event `exec-exit`."""
        streams = connection.take_descriptors(3)
        try:
            self._exec_number += 1
            spec = SpawnSpec.decode(fields, name=f"{_EXEC}{self._exec_number}")
            host = self._running(spec.pod, spec.join) if spec.join else None
            launch = self.pods.launch_for(spec, (streams[0], streams[1], streams[2]), host)
            child = self.children.start(spec.pod, spec.name, spec.role, launch)
        finally:
            for descriptor in streams:
                os.close(descriptor)
        self._execs[child.name] = connection
        connection.closed.append(lambda: self._hang_up(child))
        return child.describe()

    def _running(self, pod: str, name: str) -> Child:
        child = self.children.get(pod, name)
        if child.exit is not None:
            raise BadRequest(f"{name} in {pod} has ended", "ended")
        return child

    def _hang_up(self, child: Child) -> None:
        """The client of an exec has gone: its program goes too."""
        if child.exit is None:
            self.children.signal(child, signal.SIGHUP, group=True)
            self._group.create_task(guarded(self._end_after_hangup(child)))

    async def _end_after_hangup(self, child: Child) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_HANGUP_SECONDS):
                await child.ended.wait()
        self.children.signal(child, signal.SIGKILL, group=True)

    def _signal(self, fields: Fields) -> dict[str, Any]:
        number = fields.integer("signal")
        if not 0 <= number < signal.NSIG:
            raise BadRequest(f"{number} is no signal")
        child = self.children.get(fields.pod(), fields.name())
        return {"sent": self.children.signal(child, number, group=fields.flag("group", default=False))}

    def _list(self) -> dict[str, Any]:
        children = [child for child in self.children.all() if not child.name.startswith(_EXEC)]
        return {
            "pods": [pod.describe() for pod in self.pods.all()],
            "processes": [child.describe() for child in children if child.pod != OWN_POD],
            "own": [child.describe() for child in children if child.pod == OWN_POD],
        }

    def _pidfd(self, child: Child) -> Answer:
        return {**child.describe(), "descriptors": 1}, [os.pidfd_open(child.pid)]

    def _socket(self, fields: Fields) -> Answer:
        """A new, unconnected socket of a pod's network namespace (pod "": the sandbox's own)."""
        kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        kind = kinds.get(fields.text("kind", "tcp"))
        if kind is None:
            raise BadRequest("kind is tcp or udp")
        pod = self.pods.get(fields.pod()) if fields.text("pod", "") else None
        with self.pods.within(pod):
            made = socket.socket(socket.AF_INET, kind)
        return {"descriptors": 1}, [made.detach()]

    async def _replace(self, table: str, fields: Fields) -> None:
        """Replace one of the tables by which pods find services."""
        if table == "services":
            await self.pods.replace_services(services.decode(fields))
            return
        if self.resolver is None:
            raise BadRequest("this rung has no DNS", "not-supported")
        await self.resolver.replace_table(
            {"zones": list(fields.texts("zones", ("cluster.local",))), **self._names(fields)}
        )

    def _names(self, fields: Fields) -> dict[str, Any]:
        names = fields.object("names")
        return {"names": {name: list(names.texts(name)) for name in names.values}}

    async def _forward(self, operation: str, fields: Fields) -> dict[str, Any]:
        """Passed on to the forwarder, which lives outside the sandbox."""
        wanted: dict[str, Any] = {"listen": fields.text("listen")}
        if operation == "forward":
            wanted |= {"target": fields.text("target"), "announce": fields.flag("announce", default=False)}
        try:
            async with connected(self._sandbox.data.forwarder_socket) as forwarder:
                result, _ = await forwarder.call(operation, wanted)
        except RemoteError as error:
            raise BadRequest(str(error), error.code) from None
        except Disconnected as error:
            raise BadRequest(f"the forwarder does not run: {error}", "unavailable") from None
        return result.values

    def _ended(self, child: Child) -> None:
        """Tell everybody who wants to know, without waiting for them."""
        if (connection := self._execs.pop(child.name, None)) is not None:
            self.children.forget(child.pod, child.name)
            event = {"event": "exec-exit", **child.describe()}
            self._group.create_task(guarded(connection.send(event)))
            return
        if child.pod == OWN_POD or self.server is None:
            return
        event = {"event": "exit", **child.describe()}
        for connection in self.server.connections:
            if connection.watching:
                self._group.create_task(guarded(connection.send(event)))

    async def stop_all(self, seconds: float) -> None:
        """Applications first, then proxies, so that what an application still sends finds its way."""
        running = [child for child in self.children.all() if child.exit is None]
        await self.children.stop([child for child in running if child.role == "app"], seconds)
        await self.children.stop([child for child in running if child.role != "app"], min(seconds, 1.0))
        self.pods.abandon()
