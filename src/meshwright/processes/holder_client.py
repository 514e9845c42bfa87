"""The holder's operations as typed calls, for the agent, the CLI and tests.

async with HolderClient.session(data.holder_socket) as holder:
    [pod] = await holder.add_pods([PodSpec("a.demo", "10.244.0.11", interception=Interception())])
    await holder.spawn(SpawnSpec("a.demo", "app", ("python3", "-m", "http.server"), output="/..../app.log"))
"""

import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from meshwright.processes import procfs
from meshwright.processes.children import Exit
from meshwright.processes.client import Client, Disconnected, RemoteError
from meshwright.processes.identities import Exclusion
from meshwright.processes.interception import Interception
from meshwright.processes.messages import Fields, MountSpec, PodSpec, Role, SpawnSpec, to_fields
from meshwright.processes.sandbox import Rung

__all__ = [
    "Disconnected",
    "Ended",
    "Hello",
    "HolderClient",
    "Interception",
    "Inventory",
    "MountSpec",
    "PodInfo",
    "PodSpec",
    "ProcessHandle",
    "ProcessInfo",
    "RemoteError",
    "SpawnSpec",
]


@dataclass(frozen=True, slots=True)
class Hello:
    """What the sandbox offers. `uids` is 1 when all pods share one; `nameserver` is "" where there is no DNS."""

    protocol: int
    mesh: str
    rung: Rung
    exclusion: Exclusion
    uids: int
    subnet: str
    nameserver: str


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod. `folder` is shared by its proxy and the agent; the proxy finds it at `inside`."""

    pod: str
    ip: str
    index: int
    uid: int | None
    folder: Path
    inside: Path

    @staticmethod
    def decode(fields: Fields) -> "PodInfo":
        uid = fields.values.get("uid")
        return PodInfo(
            pod=fields.text("pod"),
            ip=fields.text("ip"),
            index=fields.integer("index"),
            uid=uid if isinstance(uid, int) else None,
            folder=Path(fields.text("folder")),
            inside=Path(fields.text("inside")),
        )


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of a pod. `pid` counts inside the sandbox; with `start_time` it is its identity there."""

    pod: str
    name: str
    role: Role
    pid: int
    start_time: int
    exit: Exit | None

    @staticmethod
    def decode(fields: Fields) -> "ProcessInfo":
        ended = None
        if not fields.flag("running", default=True):
            code, number = fields.values.get("code"), fields.values.get("signal")
            ended = Exit(code if isinstance(code, int) else None, number if isinstance(number, int) else None)
        return ProcessInfo(
            pod=fields.text("pod"),
            name=fields.text("name"),
            role=cast("Role", fields.text("role")),
            pid=fields.integer("pid"),
            start_time=fields.integer("start_time"),
            exit=ended,
        )


Ended = ProcessInfo


@dataclass(frozen=True, slots=True)
class ProcessHandle:
    """A process as this side can hold it. `pid` counts here (None: not visible here); close `pidfd` after use."""

    info: ProcessInfo
    pidfd: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that a holder has: what a restarted agent adopts. `own` are the holder's helpers (DNS)."""

    pods: tuple[PodInfo, ...]
    processes: tuple[ProcessInfo, ...]
    own: tuple[ProcessInfo, ...]

    @staticmethod
    def decode(fields: Fields) -> "Inventory":
        return Inventory(
            pods=tuple(PodInfo.decode(Fields(item)) for item in fields.items("pods")),
            processes=tuple(ProcessInfo.decode(Fields(item)) for item in fields.items("processes")),
            own=tuple(ProcessInfo.decode(Fields(item)) for item in fields.items("own")),
        )


class HolderClient:
    """Typed calls over one connection. Every call raises RemoteError when refused, Disconnected when it is gone."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    def open(cls, path: Path) -> "HolderClient":
        """Connect (inside a running loop) to the holder's socket."""
        return cls(Client.open(path))

    @classmethod
    @asynccontextmanager
    async def session(cls, path: Path) -> "AsyncGenerator[HolderClient]":
        """A connection for the length of a `with` block."""
        holder = cls.open(path)
        try:
            yield holder
        finally:
            holder.close()

    def close(self) -> None:
        self._client.close()

    @property
    def connected(self) -> bool:
        return self._client.connected

    async def hello(self) -> Hello:
        fields, _ = await self._client.call("hello")
        return Hello(
            protocol=fields.integer("protocol"),
            mesh=fields.text("mesh"),
            rung=cast("Rung", fields.text("rung")),
            exclusion=cast("Exclusion", fields.text("exclusion")),
            uids=fields.integer("uids"),
            subnet=fields.text("subnet"),
            nameserver=fields.text("nameserver"),
        )

    async def add_pods(self, pods: Sequence[PodSpec]) -> list[PodInfo]:
        """Make pods, all or none; existing ones with the same specification stay as they are."""
        fields, _ = await self._client.call("add_pods", {"pods": [to_fields(pod) for pod in pods]})
        return [PodInfo.decode(Fields(item)) for item in fields.items("pods")]

    async def remove_pod(self, pod: str) -> None:
        """End all processes of a pod at once and remove its namespace, rules and folder."""
        await self._client.call("remove_pod", {"pod": pod})

    async def spawn(self, spec: SpawnSpec) -> ProcessInfo:
        """Start a program. It has been executed when this returns; RemoteError `not-started` says why not."""
        fields, _ = await self._client.call("spawn", to_fields(spec))
        return ProcessInfo.decode(fields)

    async def signal(self, pod: str, name: str, number: int, *, group: bool = False) -> bool:
        """Send a signal to a process (or its whole group); False when it has already ended."""
        wanted = {"pod": pod, "name": name, "signal": int(number), "group": group}
        fields, _ = await self._client.call("signal", wanted)
        return fields.flag("sent", default=False)

    async def list(self) -> Inventory:
        """Pods and processes, ended ones included until they are forgotten or started again."""
        fields, _ = await self._client.call("list")
        return Inventory.decode(fields)

    async def forget(self, pod: str, name: str) -> None:
        """Drop an ended process from the list."""
        await self._client.call("forget", {"pod": pod, "name": name})

    async def watch(self) -> Inventory:
        """From now on `exits` yields; the inventory of this very moment, so that no exit falls in between."""
        fields, _ = await self._client.call("watch")
        return Inventory.decode(fields)

    async def exits(self) -> AsyncIterator[Ended]:
        """Every process that ends, after `watch`. Raises Disconnected when the holder goes."""
        while True:
            fields = await self._client.event()
            if fields.text("event") == "exit":
                yield ProcessInfo.decode(fields)

    async def pidfd(self, pod: str, name: str) -> ProcessHandle:
        """A running process's pidfd, and its pid as counted outside the sandbox."""
        fields, descriptors = await self._client.call("pidfd", {"pod": pod, "name": name})
        pidfd = descriptors[0]
        return ProcessHandle(ProcessInfo.decode(fields), pidfd, procfs.pid_of_pidfd(pidfd))

    async def socket(self, pod: str = "", kind: Literal["tcp", "udp"] = "tcp") -> socket.socket:
        """A new, non-blocking, unconnected IPv4 socket of a pod's network namespace: for probes and listeners.

        Its connections are not intercepted on the way to the pod's own addresses. `pod` "": the sandbox's own
        namespace, on the bridge.
        """
        _, descriptors = await self._client.call("socket", {"pod": pod, "kind": kind})
        made = socket.socket(fileno=descriptors[0])
        made.settimeout(0.0)
        return made

    async def replace_dns(
        self, names: Mapping[str, Sequence[str]], zones: Sequence[str] = ("cluster.local",)
    ) -> None:
        """Replace the DNS table at once: name (or "*.name") to addresses; `zones` are answered by us alone."""
        table = {name: list(addresses) for name, addresses in names.items()}
        await self._client.call("dns", {"names": table, "zones": list(zones)})

    async def replace_services(self, services: Mapping[str, Sequence[str]]) -> None:
        """Replace at once what pods without interception reach behind services (TCP only).

        "address:port" of a service to "address:port" of its ready endpoints; one without any is refused.
        RemoteError `not-supported` in the rung `loopback`.
        """
        table = {key: list(endpoints) for key, endpoints in services.items()}
        await self._client.call("services", {"services": table})

    async def forward(self, listen: str, target: Path, *, announce: bool = False) -> str:
        """Let the host's address `listen` ("127.0.0.1:8080", port 0: any) lead to a unix socket; the address.

        `announce`: every connection to the socket begins with a line of the PROXY protocol (version 1) that says who
        the client is and which address it called.
        """
        wanted = {"listen": listen, "target": str(target), "announce": announce}
        fields, _ = await self._client.call("forward", wanted)
        return fields.text("listen")

    async def unforward(self, listen: str) -> None:
        """Stop listening there; open connections go on."""
        await self._client.call("unforward", {"listen": listen})

    async def shutdown(self) -> None:
        """End applications, proxies and the sandbox, in this order, each with a bound."""
        await self._client.call("shutdown")


async def execute(
    path: Path, spec: SpawnSpec, streams: tuple[int, int, int], *, started: "list[ProcessInfo] | None" = None
) -> int:
    """Run a program in a pod with these descriptors as 0, 1, 2; its exit code as a shell tells it.

    Uses a connection of its own, so that the program ends when this side does. `spec.name` and `spec.output` are
    not used. `started` receives the process, for a caller that wants to signal it.
    """
    client = Client.open(path)
    try:
        fields, _ = await client.call("exec", to_fields(spec), streams)
        if started is not None:
            started.append(ProcessInfo.decode(fields))
        while True:
            event = await client.event()
            if event.text("event") == "exec-exit":
                ended = ProcessInfo.decode(event).exit
                return ended.shell_code if ended else os.EX_SOFTWARE
    finally:
        client.close()
