"""Delta ADS and SDS for the proxies of one machine: one unix socket per proxy.

Who connects to a proxy's socket is that proxy (and may be checked: `authorize`). Resources come as the newest
`Published`, secrets from a `SecretSource`; both by name of the proxy, never by what the peer says of itself.
"""

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from google.protobuf.message import DecodeError

from meshwright.asynctools.latest import Latest
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import SECRET, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.published import EncodedResource, Published, Resources
from meshwright.xds.grpc import CallError, Status
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat
from meshwright.xds.http2 import Limits
from meshwright.xds.peer import Peer, listening_socket, peer_of
from meshwright.xds.session import DEFAULT_TIMING, Complaint, Session, SubscriptionError, Timing
from meshwright.xds.share import Share
from meshwright.xds.subscription import NOTHING, TooManyNamesError
from meshwright.xds.transport import GrpcConnection
from meshwright.xds.witness import PretenderError, Witness

LOG = logging.getLogger(__name__)
ADS_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
SDS_PATH = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets"
KEPT_COMPLAINTS = 20
MOST_CONNECTIONS = 8  # of one proxy; an Envoy has two, and for a moment those of its predecessor
LIMITS = Limits(streams=32)  # an Envoy has one for everything and one for each secret
T = TypeVar("T")
SLICE = 50  # connections that are pumped before other work gets its turn


class SecretSource(Protocol):
    """Where certificates and keys come from."""

    @property
    def secrets_changed(self) -> Latest[int]:
        """A number that is another one whenever `secrets_of` may answer otherwise."""
        ...

    def secrets_of(self, proxy: ProxyName) -> Mapping[ResourceName, EncodedResource]:
        """All secrets that this proxy may have; the same mapping object while nothing changed."""
        ...


class NoSecrets:
    """A source without any."""

    def __init__(self) -> None:
        self._changed = Latest(0)

    @property
    def secrets_changed(self) -> Latest[int]:
        return self._changed

    def secrets_of(self, proxy: ProxyName) -> Mapping[ResourceName, EncodedResource]:
        del proxy
        return NOTHING


Acknowledged = Mapping[TypeUrl, Mapping[ResourceName, Version]]
Refused = Mapping[tuple[TypeUrl, ResourceName], Version]


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """How far one proxy is. `acknowledged` is what it runs, by type; `refused` what it never gets again;
    `waiting` the bytes that it has not read yet.
    """

    connected: bool = False
    synced: bool = False
    node_id: str = ""
    acknowledged: Acknowledged = field(default_factory=dict[TypeUrl, Mapping[ResourceName, Version]])
    refused: Refused = field(default_factory=dict[tuple[TypeUrl, ResourceName], Version])
    complaints: tuple[Complaint, ...] = ()
    waiting: int = 0


Authorize = Callable[[Peer], bool]


@dataclass(eq=False, slots=True)
class _Served:
    """One proxy with its socket, connections and streams (a stream: ADS or SDS; the newest is last)."""

    proxy: ProxyName
    path: Path
    inode: int
    authorize: Authorize | None
    server: asyncio.Server | None = None
    share: Share = field(default_factory=Share)
    connections: set[GrpcConnection] = field(default_factory=set[GrpcConnection])
    ads: list[Session] = field(default_factory=list[Session])
    sds: list[Session] = field(default_factory=list[Session])
    complaints: deque[Complaint] = field(default_factory=lambda: deque[Complaint](maxlen=KEPT_COMPLAINTS))


class _DeltaCall:
    """One stream: requests to its session, its session's replies to the peer."""

    def __init__(self, session: Session, home: list[Session], moved: Callable[[], None], witness: Witness) -> None:
        self._session = session
        self._home = home
        self._moved = moved
        self._witness = witness
        home.append(session)

    def receive(self, message: bytes, now: float) -> None:
        del now
        try:
            request = DeltaDiscoveryRequest.FromString(message)
            self._witness.look(request)
            self._session.receive(request)
        except PretenderError as error:
            raise CallError(Status.PERMISSION_DENIED, str(error)) from None
        except DecodeError:
            raise CallError(Status.INVALID_ARGUMENT, "this is no DeltaDiscoveryRequest") from None
        except SubscriptionError as error:
            raise CallError(Status.INVALID_ARGUMENT, str(error)) from None
        except TooManyNamesError:
            raise CallError(Status.RESOURCE_EXHAUSTED, "too many names are subscribed to") from None

    def next_message(self, now: float) -> bytes | None:
        reply = self._session.reply(now)
        if reply is None:
            self._moved()
        return reply

    def wake_at(self, now: float) -> float | None:
        return self._session.wake_at(now)

    def closed(self) -> None:
        self._home.remove(self._session)
        self._moved()


class XdsServer:
    """Serves every proxy that was added, from the newest `Published`. An asynchronous context manager.

    `complain` hears of every refusal (at once, in the event loop); `timing` holds the bounds of the phases,
    `heartbeat` says when a proxy that shows no life is hung up on.
    """

    def __init__(
        self,
        published: Latest[Published],
        secrets: SecretSource | None = None,
        *,
        complain: Callable[[Complaint], None] | None = None,
        timing: Timing = DEFAULT_TIMING,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
    ) -> None:
        self._heartbeat = heartbeat
        self._published = published
        self._secrets: SecretSource = secrets or NoSecrets()
        self._complain = complain
        self._timing = timing
        self._served: dict[ProxyName, _Served] = {}
        self._moved = Latest(0)
        self._tasks = asyncio.TaskGroup()
        self._watchers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._watchers = [
            self._tasks.create_task(self._follow(self._published)),
            self._tasks.create_task(self._follow(self._secrets.secrets_changed)),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in list(self._served):
            await self.remove(proxy)
        for watcher in self._watchers:
            watcher.cancel()
        # The body's own error goes on as it is; only a cancellation is the group's business (it may have caused it).
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, trace)
        else:
            await self._tasks.__aexit__(None, None, None)

    # ------------------------------------------------------------ proxies

    async def add(
        self,
        proxy: ProxyName,
        path: Path,
        *,
        mode: int = 0o600,
        owner: tuple[int, int] = (-1, -1),
        authorize: Authorize | None = None,
    ) -> None:
        """Listen for `proxy` at `path` (at most 107 bytes); `owner` is (uid, gid), -1 leaves it as it is.

        `authorize` sees the peer of each connection; False hangs up. Raises OSError when the path cannot be used,
        ValueError when the proxy is served already.
        """
        if proxy in self._served:
            raise ValueError(f"{proxy} is served already")
        listener = listening_socket(path, mode, *owner)
        served = _Served(proxy, path, path.stat().st_ino, authorize)
        self._served[proxy] = served
        loop = asyncio.get_running_loop()
        served.server = await loop.create_unix_server(lambda: self._connection(served), sock=listener)

    async def remove(self, proxy: ProxyName) -> None:
        """Stop serving a proxy: hang up and take its socket away. Unknown proxies are no error."""
        served = self._served.pop(proxy, None)
        if served is None:
            return
        if served.server is not None:
            served.server.close()
        for connection in list(served.connections):
            connection.close("this server no longer serves the proxy")
        with contextlib.suppress(FileNotFoundError):
            if served.path.stat().st_ino == served.inode:  # not that of a successor
                served.path.unlink()
        self._tick()

    def proxies(self) -> tuple[ProxyName, ...]:
        """Who is served."""
        return tuple(self._served)

    def _connection(self, served: _Served) -> GrpcConnection:
        clock = asyncio.get_running_loop().time
        return _CheckedConnection(served, lambda path: self._open(served, path), clock, self._heartbeat)

    def _open(self, served: _Served, path: str) -> _DeltaCall:
        if path == ADS_PATH:
            session, home = Session(served.proxy, self._heard(served), self._timing), served.ads
        elif path == SDS_PATH:
            session, home = Session(served.proxy, self._heard(served), self._timing, only=SECRET), served.sds
        else:
            raise CallError(Status.UNIMPLEMENTED, f"no such method: {path[:200]}")
        self._aim(session)
        proxy = served.proxy
        witness = Witness(proxy, lambda: self._secrets.secrets_of(proxy), only_secrets=session.only is not None)
        return _DeltaCall(session, home, self._tick, witness)

    def _heard(self, served: _Served) -> Callable[[Complaint], None]:
        def hear(complaint: Complaint) -> None:
            LOG.warning(
                "%s refuses %s %s: %s",
                complaint.proxy,
                complaint.type_url.rpartition(".")[2],
                complaint.resource_name or "",
                complaint.message,
            )
            served.complaints.append(complaint)
            if self._complain is not None:
                self._complain(complaint)

        return hear

    # ------------------------------------------------------------ news

    def _aim(self, session: Session) -> None:
        """Give a session the newest of everything. A proxy that is not published keeps what it has."""
        secrets = self._secrets.secrets_of(session.proxy)
        if session.only is not None:
            session.update({SECRET: secrets})
            return
        resources: Resources | None = self._published.value.resources_of(session.proxy)
        if resources is not None:
            session.update({**resources, SECRET: secrets})

    async def _follow(self, news: Latest[T]) -> None:
        seen = news.value
        while True:
            seen = await news.newer_than(seen)
            for number, served in enumerate(list(self._served.values()), start=1):
                self._refresh(served)
                if number % SLICE == 0:
                    await asyncio.sleep(0)

    def _refresh(self, served: _Served) -> None:
        for session in (*served.ads, *served.sds):
            self._aim(session)
        for connection in list(served.connections):
            connection.pump()

    def _tick(self) -> None:
        self._moved.set(self._moved.value + 1)

    # ------------------------------------------------------------ status

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever a status may be another one."""
        return self._moved

    def status(self) -> Mapping[ProxyName, ProxyStatus]:
        """Every proxy that is served."""
        return {proxy: self.status_of(proxy) for proxy in self._served}

    def status_of(self, proxy: ProxyName, *, in_full: bool = True) -> ProxyStatus:
        """One proxy; an empty status when it is not served. `acknowledged` costs: it is left out unless `in_full`."""
        served = self._served.get(proxy)
        if served is None:
            return ProxyStatus()
        complaints = tuple(served.complaints)
        newest = [*served.sds[-1:], *served.ads[-1:]]
        told = newest if in_full else []
        acknowledged = {url: names for session in told for url, names in session.acknowledged().items()}
        refused = {key: version for session in newest for key, version in session.refused().items()}
        if not served.ads:
            return ProxyStatus(acknowledged=acknowledged, refused=refused, complaints=complaints)
        return ProxyStatus(
            connected=True,
            synced=self._is_synced(served),
            node_id=served.ads[-1].node_id,
            acknowledged=acknowledged,
            refused=refused,
            complaints=complaints,
            waiting=sum(connection.waiting for connection in served.connections),
        )

    def _is_synced(self, served: _Served) -> bool:
        """Everything of the newest `Published` and of the secrets is acknowledged."""
        if not served.ads or self._published.value.resources_of(served.proxy) is None:
            return False
        for session in (*served.sds, served.ads[-1]):
            self._aim(session)  # what was set a moment ago and not yet followed counts
        return all(session.synced() for session in (*served.sds, served.ads[-1]))

    async def synced(self, proxies: ProxyName | Iterable[ProxyName], timeout: float) -> bool:
        """Wait until these proxies run everything they should; False after `timeout` seconds."""
        wanted = [proxies] if isinstance(proxies, str) else list(proxies)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    seen = self._moved.value
                    if all(p in self._served and self._is_synced(self._served[p]) for p in wanted):
                        return True
                    await self._moved.newer_than(seen)
        except TimeoutError:
            return False


class _CheckedConnection(GrpcConnection):
    """A connection that knows its proxy, and hangs up when the peer is not who may speak for it."""

    def __init__(
        self,
        served: _Served,
        open_call: Callable[[str], _DeltaCall],
        clock: Callable[[], float],
        heartbeat: Heartbeat,
    ) -> None:
        super().__init__(
            open_call, clock, served.connections.discard, LIMITS, share=served.share, heartbeat=heartbeat
        )
        self._served = served

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        authorize = self._served.authorize
        crowded = len(self._served.connections) >= MOST_CONNECTIONS
        if crowded or (authorize is not None and not self._is_allowed(transport, authorize)):
            transport.close()
            return
        self._served.connections.add(self)
        super().connection_made(transport)

    def _is_allowed(self, transport: asyncio.BaseTransport, authorize: Authorize) -> bool:
        peer = peer_of(transport.get_extra_info("socket"))
        try:
            allowed = authorize(peer)
        finally:
            if peer.pidfd is not None:
                os.close(peer.pidfd)
        if not allowed:
            LOG.warning("process %d (uid %d) may not speak for %s", peer.pid, peer.uid, self._served.proxy)
        return allowed
