"""The agent's end of the node stream: what is published and desired here, as if the control plane were at hand.

It holds the newest state (from disk at the start, so that everything comes up with the control plane down), reports
pods and proxies, and asks for certificates. It connects again for ever.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState, PodStatus
from meshwright.model.published import Published
from meshwright.node.cache import Cache
from meshwright.node.messages import PATH, Commit
from meshwright.node.node_call import NodeCall
from meshwright.node.progress import NO_PROGRESS, PROGRESS, STATUSES, ProxyProgress, progress_row, status_rows
from meshwright.node.replica import NodeState, Replica
from meshwright.node.state import Documents
from meshwright.node.tables import Table, TableError, View
from meshwright.xds.grpc_client import GrpcClient
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat
from meshwright.xds.server import ProxyStatus

LOG = logging.getLogger(__name__)
REPORT_PAUSE = 0.005  # seconds between two looks at all proxies
REPORT_SHARE = 4.0  # after a look that took t, the next one comes 4 t later at the earliest
STOPPED_PAUSE = 0.05  # seconds without news after which it is asked whether those who are late are stopped
WRITE_PAUSE = 0.5  # seconds between two writes of the cache


class SigningRefusedError(ValueError):
    """The control plane gives no certificate; the text says why."""


class Proxies(Protocol):
    """Where proxies are served: `xds.server.XdsServer` is one."""

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever a status may be another one."""
        ...

    def proxies(self) -> Iterable[ProxyName]:
        """All that are served."""
        ...

    def status_of(self, proxy: ProxyName, *, in_full: bool = True) -> ProxyStatus:
        """How far one is."""
        ...


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A control plane on another machine; `context` carries this node's certificate and whom it trusts."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class BackOff:
    """Seconds between attempts to connect: doubling from `first` to `longest`."""

    first: float = 0.02
    longest: float = 0.5


class Relay:
    """An asynchronous context manager. `published`, `desired`, `documents`, `roots_pem` are empty until `loaded`."""

    def __init__(
        self,
        server: Path | TcpAddress,
        cache_folder: Path,
        *,
        back_off: BackOff = BackOff(),
        report_pause: float = REPORT_PAUSE,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
    ) -> None:
        """`heartbeat`: when a control plane that shows no life is hung up on, and connected to anew."""
        self._heartbeat = heartbeat
        self.published: Latest[Published] = Latest(Published({}, {}, {}))
        self.desired: Latest[DesiredState] = Latest(DesiredState())
        self.documents: Latest[Documents] = Latest({})
        self.roots_pem: Latest[bytes] = Latest(b"")
        self.connected: Latest[bool] = Latest(False)  # noqa: FBT003 - the value of a cell
        self._server = server
        self._cache = Cache(cache_folder)
        self._back_off = back_off
        self._report_pause = report_pause
        self._replica = Replica()
        self._loaded = asyncio.Event()
        self._dirty = asyncio.Event()
        self._serial = 0
        self._states = self._saved = 0  # how many states came, and up to which one they are on disk
        self._call: NodeCall | None = None
        self._client: GrpcClient | None = None
        self._statuses: Table | None = None
        self._progress: dict[ProxyName, ProxyProgress] = {}
        self._proxies: Proxies | None = None
        self._is_stopped: Callable[[ProxyName], bool] = _never
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._load()
        await self._tasks.__aenter__()
        self._running = [self._tasks.create_task(self._stay_connected()), self._tasks.create_task(self._keep())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)
        if self._saved < self._states:
            self._save(self._replica.dump(), self._states)  # after what a thread may still write

    # ------------------------------------------------------------ what the agent does

    async def loaded(self) -> None:
        """Wait until there is a state, from disk or from the control plane. Before that `desired` means nothing:
        an agent that took it at its word would end every pod.
        """
        await self._loaded.wait()

    def report(self, statuses: Mapping[ProxyName, PodStatus]) -> None:
        """How the pods of this node are now. Until the first call the control plane believes what it knew before."""
        self._statuses = Table(status_rows(statuses))
        self._tell()

    def watch(self, proxies: Proxies, is_stopped: Callable[[ProxyName], bool] | None = None) -> None:
        """Report how far these proxies are, from now on, and which of those that are late `is_stopped` (a process
        that does nothing until it is let go on). Call it once, inside the context.
        """
        assert self._proxies is None, "one xDS server per node"
        self._proxies = proxies
        self._is_stopped = is_stopped or _never
        self._running.append(self._tasks.create_task(self._follow_proxies(proxies)))

    async def sign(self, proxy: ProxyName, csr_pem: bytes) -> bytes:
        """A certificate chain (PEM) for this node's pod; waits as long as the control plane is away.

        Raises SigningRefusedError.
        """
        while True:
            call = await self._connected_call()
            answer = call.sign(proxy, csr_pem)
            self._pump()
            signed = await answer
            if signed is None:
                continue  # the stream broke; the next one is asked again
            if signed.refused:
                raise SigningRefusedError(signed.refused)
            return signed.chain_pem

    async def drained(self, pod: ProxyName) -> None:
        """Wait until no proxy of the mesh has this pod among its endpoints. Call `report` before, with a status that
        is not ready. Returns at once when the control plane is away: nothing can be changed then.
        """
        if self._call is None or not self.connected.value:
            return
        answer = self._call.drain(pod)
        self._pump()
        await answer

    # ------------------------------------------------------------ connection

    async def _stay_connected(self) -> None:
        pause = self._back_off.first
        while True:
            call = NodeCall(self._replica, self._committed)
            try:
                client = await self._connect(call)
            except OSError as error:
                LOG.debug("the control plane does not answer: %s", error)
            else:
                reason = await self._use(client, call)
                if call.committed:
                    pause = self._back_off.first
                LOG.info("the control plane is away: %s", reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._back_off.longest)

    async def _connect(self, call: NodeCall) -> GrpcClient:
        loop = asyncio.get_running_loop()

        def factory() -> GrpcClient:
            return GrpcClient(PATH, call, loop.time, heartbeat=self._heartbeat)

        if isinstance(self._server, TcpAddress):
            address = self._server
            _, client = await loop.create_connection(factory, address.host, address.port, ssl=address.context)
        else:
            _, client = await loop.create_unix_connection(factory, sock=_connected_socket(self._server))
        return client

    async def _use(self, client: GrpcClient, call: NodeCall) -> str:
        """Let a connection run to its end; why it ended."""
        self._client, self._call = client, call
        self._progress = {}
        self._tell()
        try:
            return await client.ended()
        finally:
            client.abort()
            self._client = self._call = None
            call.closed()
            if call.broken:
                self._replica = Replica()  # what it knows does not fit the control plane's; begin anew
                self._dirty.clear()
                self._saved = self._states  # nothing worth keeping, so what is on disk stays
            else:
                self._replica.interrupt()
            self.connected.set(False)

    async def _connected_call(self) -> NodeCall:
        while True:
            seen = self.connected.value
            if seen and self._call is not None:
                return self._call
            await self.connected.newer_than(seen)

    def _pump(self) -> None:
        if self._client is not None:
            self._client.pump()

    # ------------------------------------------------------------ state

    def _load(self) -> None:
        data = self._cache.read()
        if data is None:
            return
        try:
            state = self._replica.load(data)
        except TableError as error:
            LOG.warning("the node's cache is not used: %s", error)
            self._replica = Replica()
            return
        self._take(state)

    def _committed(self, commit: Commit) -> None:
        """The control plane's newest state is complete. Raises TableError."""
        state = self._replica.commit(commit)
        self._serial = commit.serial
        self._states += 1
        self._dirty.set()
        if not self.connected.value:
            self.connected.set(True)
        self._take(state)

    def _take(self, state: NodeState) -> None:
        """Certificates' roots and documents first: pods that are new in `desired` need them."""
        if state.roots_pem != self.roots_pem.value:
            self.roots_pem.set(state.roots_pem)
        if state.documents != self.documents.value:
            self.documents.set(state.documents)
        if state.published is not self.published.value:
            self.published.set(state.published)
        if state.desired is not self.desired.value:
            self.desired.set(state.desired)
        self._loaded.set()
        if self._proxies is not None:
            self._look(self._proxies)

    async def _keep(self) -> None:
        """Write the state when it moved: the first change at once, then at most one per pause."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.to_thread(self._save, self._replica.dump(), self._states)
            await asyncio.sleep(WRITE_PAUSE)

    def _save(self, data: bytes, number: int) -> None:
        try:
            self._cache.write(data, number)
            self._saved = max(self._saved, number)
        except OSError as error:
            LOG.warning("the node's state cannot be kept: %s", error)

    # ------------------------------------------------------------ reports

    async def _follow_proxies(self, proxies: Proxies) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            seen, began = proxies.moved.value, clock()
            self._look(proxies)
            await asyncio.sleep(max(self._report_pause, REPORT_SHARE * (clock() - began)))
            while not await self._moves(proxies, seen):
                self._look_at_late(proxies)

    async def _moves(self, proxies: Proxies, seen: int) -> bool:
        """Wait for news; while somebody is late, not longer than until it is to be asked why: then False."""
        late = any(each.connected and not self._is_newest(each) for each in self._progress.values())
        try:
            async with asyncio.timeout(STOPPED_PAUSE if late else None):
                await proxies.moved.newer_than(seen)
        except TimeoutError:
            return False
        return True

    def _look(self, proxies: Proxies) -> None:
        self._take_progress({name: self._progress_of(name, proxies) for name in proxies.proxies()})

    def _look_at_late(self, proxies: Proxies) -> None:
        """Whether who is late is stopped; not asked at every look, for it costs."""
        found = dict(self._progress)
        for name, each in self._progress.items():
            if each.connected and not self._is_newest(each):
                now = self._progress_of(name, proxies)
                found[name] = replace(now, stopped=not self._is_newest(now) and self._is_stopped(name))
        self._take_progress(found)

    def _is_newest(self, progress: ProxyProgress) -> bool:
        return progress.serial == self._serial

    def _take_progress(self, progress: dict[ProxyName, ProxyProgress]) -> None:
        if progress != self._progress:
            self._progress = progress
            self._tell()

    def _progress_of(self, name: ProxyName, proxies: Proxies) -> ProxyProgress:
        status, before = proxies.status_of(name, in_full=False), self._progress.get(name, NO_PROGRESS)
        stopped = before.stopped and status.connected and not status.synced  # it was, as far as is known
        if status.synced and self.connected.value:
            serial, change, rows = self._serial, self.published.value.change, status.refused
        elif before.connected and status.connected:  # what it refused is forgotten when there is another version
            kept = {(url, each): version for url, each, version in before.refused}
            serial, change, rows = before.serial, before.change, {**kept, **status.refused}
        else:
            serial, change, rows = 0, 0, status.refused
        refused = tuple(sorted((url, each, version) for (url, each), version in rows.items()))
        return ProxyProgress(status.connected, serial, change, refused, status.complaints, stopped)

    def _tell(self) -> None:
        if self._call is None:
            return
        tables: dict[str, Table] = {}
        if self._statuses is not None:
            tables[STATUSES] = self._statuses
        if self._proxies is not None:
            tables[PROGRESS] = Table({name: progress_row(each) for name, each in self._progress.items()})
        self._call.aim(View(tables))
        self._pump()


def _never(proxy: ProxyName) -> bool:
    """Nobody knows better."""
    del proxy
    return False


def _connected_socket(path: Path) -> socket.socket:
    """Through the folder's descriptor, for the path may be longer than an address. Never blocks. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        undo.pop_all()
    return connection
