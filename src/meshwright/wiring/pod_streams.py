"""Logs, exec and port-forward on this machine: the output files of pods, and the holder behind its socket."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from meshwright.agent.machine import PROXY_CONTAINER
from meshwright.agent.settings import Rung
from meshwright.apiserver.pod_streams import Command, ContainerRef, Ended, LogOptions, StreamError
from meshwright.images import tools
from meshwright.model.proxy import application_address
from meshwright.processes.client import Client, Disconnected, RemoteError
from meshwright.processes.holder_client import HolderClient, ProcessInfo, SpawnSpec
from meshwright.processes.messages import to_fields
from meshwright.processes.state import DataDirectory
from meshwright.wiring.commands import DEFAULT_PATH, resolved
from meshwright.wiring.pod_logs import read_log

MOST_COMMANDS = 100  # at once: each has a connection to the holder, which takes a bounded number of them
_CONNECT_SECONDS = 10.0
_LOCALHOST = "127.0.0.1"
_TERMINAL = "xterm"


class LocalPods:
    """PodStreams for the pods of one data directory. Connects anew for every call: it outlives no holder."""

    def __init__(self, data: DataDirectory, rung: Rung) -> None:
        self._data = data
        self._rung = rung
        self._commands = 0

    def logs(
        self, ref: ContainerRef, options: LogOptions, going_on: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        path = self._data.logs / f"{ref.namespace}_{ref.pod}_{ref.container}.log"
        return read_log(path, options, going_on)

    @asynccontextmanager
    async def execute(
        self, ref: ContainerRef, command: Command, streams: tuple[int, int, int]
    ) -> AsyncGenerator[Ended]:
        pod = f"{ref.pod}.{ref.namespace}"
        if self._commands >= MOST_COMMANDS:
            raise StreamError(f"{MOST_COMMANDS} commands run already; try again when some have ended")
        self._commands += 1
        try:
            async with self._started(pod, ref.container, command, streams) as ended:
                yield ended
        finally:
            self._commands -= 1

    @asynccontextmanager
    async def _started(
        self, pod: str, container: str, command: Command, streams: tuple[int, int, int]
    ) -> AsyncGenerator[Ended]:
        try:
            spec = await self._spec(pod, container, command)
            client = Client.open(self._data.holder_socket)
        except (RemoteError, Disconnected, OSError) as error:
            raise StreamError(str(error)) from None
        try:
            try:
                await client.call("exec", to_fields(spec), streams)
            except (RemoteError, Disconnected) as error:
                raise StreamError(f"{command.argv[0]}: {error}") from None
            yield lambda: _end_of(client)
        finally:
            client.close()  # the holder hangs up the program

    async def _spec(self, pod: str, container: str, command: Command) -> SpawnSpec:
        """The command as the container would run it: its file systems, variables and working directory."""
        async with HolderClient.session(self._data.holder_socket) as holder:
            handle = await holder.pidfd(pod, container)
        os.close(handle.pidfd)
        env = _environment(handle.pid)
        if command.terminal:
            env["TERM"] = _TERMINAL
        return SpawnSpec(
            pod,
            "exec",
            resolved(command.argv, env["PATH"]),
            role="proxy" if container == PROXY_CONTAINER else "app",
            env=env,
            cwd=_folder(handle.pid),
            terminal=command.terminal,
            join=container,
        )

    async def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        name = f"{pod}.{namespace}"
        said = ""
        for address in await self._addresses(name):
            made = await self._socket(name)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(made, (address, port))
            except OSError as error:
                made.close()
                said = os.strerror(error.errno) if error.errno else "it does not answer"
            except BaseException:
                made.close()
                raise
            else:
                return made
        raise StreamError(f"{_LOCALHOST}:{port} in pod {pod}: {said}")

    async def _addresses(self, pod: str) -> tuple[str, ...]:
        """Where the pod's programs listen on localhost; without namespaces that is an address of their own."""
        if self._rung is not Rung.LOOPBACK:
            return (_LOCALHOST,)
        try:
            async with HolderClient.session(self._data.holder_socket) as holder:
                found = await holder.list()
        except (RemoteError, Disconnected) as error:
            raise StreamError(str(error)) from None
        own = next((each.ip for each in found.pods if each.pod == pod), "")
        if not own:
            raise StreamError(f"there is no pod {pod} on this machine")
        return (application_address(own), own)

    async def _socket(self, pod: str) -> socket.socket:
        try:
            async with HolderClient.session(self._data.holder_socket) as holder:
                return await holder.socket(pod)
        except (RemoteError, Disconnected) as error:
            raise StreamError(str(error)) from None


async def _end_of(client: Client) -> int:
    """Raises StreamError when the holder goes first."""
    try:
        while True:
            event = await client.event()
            if event.text("event") == "exec-exit":
                ended = ProcessInfo.decode(event).exit
                return ended.shell_code if ended else os.EX_SOFTWARE
    except Disconnected:
        raise StreamError("the pod's machine ended the program") from None


def _environment(pid: int | None) -> dict[str, str]:
    """The variables of a process, as far as they can be read."""
    defaults = {"PATH": DEFAULT_PATH, tools.INTERPRETER: sys.executable, "HOME": "/", "LANG": "C.UTF-8"}
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes() if pid is not None else b""
    except OSError:
        return defaults
    pairs = (each.decode("utf-8", "replace").partition("=") for each in text.split(b"\0") if b"=" in each)
    return defaults | {name: value for name, _, value in pairs}


def _folder(pid: int | None) -> str:
    try:
        name = str(Path(f"/proc/{pid}/cwd").readlink()) if pid is not None else "/"
    except OSError:
        return "/"
    return name if name.startswith("/") and not name.endswith(" (deleted)") else "/"
