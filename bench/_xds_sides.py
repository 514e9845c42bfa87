"""The servers of `bench.xds` and their simulated proxies as processes, on a CPU each."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench._xds_mesh import Held, Mesh

HERE = Path(__file__).resolve().parent
RIVALS = HERE / "xds_rivals"
PATIENCE = 120.0
"""Seconds that any answer may take."""
BUILD_PATIENCE = 400.0
SETTLE = 0.04
"""Seconds after the last acknowledgement, in which the server still works on what it was told."""
CORES = sorted(os.sched_getaffinity(0))


class Talking:
    """A process that answers each line with a line of JSON. `core` is the CPU that it gets, if there are two."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str | Path], core: int) -> "Talking":
        def pin() -> None:
            if len(CORES) > 1:
                os.sched_setaffinity(0, {CORES[core]})

        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=HERE.parent,
            preexec_fn=pin,
        )
        return cls(process)

    async def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """RuntimeError when none comes."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise RuntimeError("no answer within two minutes") from None
        if not line:
            raise RuntimeError("a process of the measurement ended")
        return json.loads(line)

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def rss(self) -> float:
        """KiB."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
        raise RuntimeError("a process of the measurement ended")


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is simulated."""

    proxies: int
    classes: int
    services: int

    def __str__(self) -> str:
        return f"{self.proxies:,} proxies, {self.classes} class{'es' * (self.classes > 1)}, {self.services:,} held"


@dataclass(frozen=True, slots=True)
class Kind:
    """How to start one server: `command` before its socket (or folder of sockets) and the file with resources."""

    name: str
    command: tuple[str | Path, ...]
    own_sockets: bool = False


@dataclass(frozen=True, slots=True)
class Took:
    """CPU of the server and the time of the last acknowledgement, both in ms; bytes that each proxy received."""

    cpu: float
    last: float
    bytes: float = 0.0


@dataclass(slots=True)
class Side:
    """One server with its proxies, all connected."""

    kind: Kind
    shape: Shape
    server: Talking
    proxies: Talking
    connecting: Took
    per_stream: float
    """KiB of the server's memory."""
    changes: list[Took] = field(default_factory=list[Took])
    storms: list[Took] = field(default_factory=list[Took])

    async def cpu(self) -> float:
        """CPU seconds of the server so far, when it has nothing to do."""
        await asyncio.sleep(SETTLE)
        return (await self.server.ask("stat"))["cpu"]

    async def change(self, new: Held, marker: str) -> Took:
        """One change to everybody; without its CPU, which is too little to be read each time."""
        await self.proxies.ask(f"expect {marker}")
        began = (await self.server.ask(_command(new)))["at"]
        done = await self.proxies.answer()
        return Took(0.0, (done["last"] - began) * 1000, done["bytes"] / self.shape.proxies)

    async def storm(self, new: Held, marker: str) -> Took:
        """Everybody hangs up, something changes, everybody comes back and gets it."""
        before = await self.cpu()
        await self.proxies.ask(f"expect {marker}")
        await self.proxies.ask("drop")
        await asyncio.sleep(0.3)
        await self.server.ask(_command(new))
        began = time.monotonic()
        done = await self.proxies.ask("reconnect")
        spent = await self.cpu() - before
        return Took(spent * 1000, (done["last"] - began) * 1000, done["bytes"] / self.shape.proxies)

    async def check(self) -> None:
        """RuntimeError when the server hung up on anybody."""
        if lost := (await self.proxies.ask("stat"))["hung_up"]:
            raise RuntimeError(f"{self.kind.name} ended {lost} connections")


def _command(new: Held) -> str:
    return f"change {new.type_url} {new.name} {base64.b64encode(new.value).decode()}"


@contextlib.asynccontextmanager
async def running(kind: Kind, shape: Shape, mesh: Mesh, folder: Path, proxies: Path) -> AsyncGenerator[Side]:
    """A server and its proxies, connected; both are ended with the context."""
    folder.mkdir()
    resources, names = folder / "resources", folder / "names"
    mesh.save(resources)
    names.write_text("".join(f"{name}\n" for name in mesh.names()))
    socket = folder / "s"
    if kind.own_sockets:
        socket.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        server = await Talking.start((*kind.command, socket, resources), 0)
        stack.push_async_callback(server.stop)
        await server.answer()
        path = f"{socket}/%d" if kind.own_sockets else str(socket)
        clients = await Talking.start((proxies, str(shape.proxies), str(shape.classes), path, names, "80"), 1)
        stack.push_async_callback(clients.stop)
        empty, before = server.rss(), (await server.ask("stat"))["cpu"]
        done = await clients.ask("connect")
        if "lost" in done:
            raise RuntimeError(f"{kind.name} ends streams while they connect")
        side = Side(kind, shape, server, clients, Took(0, 0), 0)
        spent = await side.cpu() - before
        side.per_stream = (server.rss() - empty) / shape.proxies
        took = (done["last"] - done["began"]) * 1000
        side.connecting = Took(spent * 1000, took, done["bytes"] / shape.proxies)
        yield side


@contextlib.asynccontextmanager
async def living(shape: Shape, folder: Path, proxies: Path) -> AsyncGenerator[Side]:
    """The store, what follows it, the compiler and our server in one process, and its proxies."""
    sockets, data, names = folder / "s", folder / "data", folder / "names"
    sockets.mkdir(parents=True)
    data.mkdir()
    kind = Kind("from the store", (sys.executable, "-m", "bench._xds_living"))
    numbers = (str(shape.proxies), str(shape.services))
    async with contextlib.AsyncExitStack() as stack:
        server = await Talking.start((*kind.command, *numbers, data, sockets), 0)
        stack.push_async_callback(server.stop)
        held = await server.answer()
        names.write_text("".join(f"{name}\n" for name in held["endpoints"]))
        command = (proxies, str(shape.proxies), "1", f"{sockets}/%d", names, held["routes"])
        clients = await Talking.start(command, 1)
        stack.push_async_callback(clients.stop)
        await clients.ask("connect")
        yield Side(kind, shape, server, clients, Took(0, 0), 0)


def ours(shape: Shape) -> Kind:
    """The real server of the product."""
    return Kind("meshwright", (sys.executable, "-m", "bench._xds_ours", str(shape.proxies)), own_sockets=True)


async def rivals(folder: Path) -> list[Kind]:
    """Those that this machine can run; says which it cannot, and why."""
    found = [Kind("grpcio", (sys.executable, "-m", "bench._xds_grpcio"))]
    go = shutil.which("go")
    if go is None:
        print("go-control-plane is not measured: there is no Go on this machine")
        return found
    try:
        server = await built((go, "build", "-o", folder / "go-control-plane", "."), RIVALS)
    except RuntimeError as error:
        print(f"go-control-plane is not measured: {error}")
        return found
    caches = ("linear", "snapshot")
    return [*(Kind(f"go-control-plane, {cache}", (server, cache)) for cache in caches), *found]


async def proxies_program(folder: Path) -> Path:
    """RuntimeError when there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise RuntimeError("the simulated proxies need a C compiler (cc)")
    return await built((compiler, "-O2", "-o", folder / "proxies", HERE / "_xds_proxies.c"), HERE)


async def built(command: Sequence[str | Path], where: Path) -> Path:
    """The program after `-o`. RuntimeError with the last words of the compiler."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=where, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(BUILD_PATIENCE):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        raise RuntimeError("the compiler takes too long") from None
    if process.returncode:
        raise RuntimeError(said.decode(errors="replace").strip()[-300:])
    return Path(command[list(command).index("-o") + 1])
