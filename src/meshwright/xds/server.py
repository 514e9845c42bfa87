"""Delta ADS and SDS for the proxies of one machine: one unix socket per proxy.

Who connects to a proxy's socket is that proxy (and may be checked: `authorize`). Resources come as the newest
`Published`, secrets from a `SecretSource`; both by name of the proxy, never by what the peer says of itself.
"""

import asyncio
import contextlib
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Protocol, Self, TypeVar

from google.protobuf.message import DecodeError

from meshwright.asynctools.latest import Latest
from meshwright.model.names import SECRET, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.proxy import ProxyClass
from meshwright.model.published import EncodedResource, Published, Resources
from meshwright.xds.grpc import CallError, Framed, Status
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat
from meshwright.xds.http2 import Limits
from meshwright.xds.peer import Peer, listening_socket, peer_of
from meshwright.xds.session import DEFAULT_TIMING, Complaint, SubscriptionError, Timing
from meshwright.xds.share import Share
from meshwright.xds.stream import REMEMBERED, Book, Stream
from meshwright.xds.subscription import NOTHING, TooManyNamesError
from meshwright.xds.transport import GrpcConnection, Line, OpenCall
from meshwright.xds.witness import PretenderError, Witness

LOG = logging.getLogger(__name__)
ADS_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
SDS_PATH = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets"
KEPT_COMPLAINTS = 20
MOST_CONNECTIONS = 8  # of one proxy; an Envoy has two, and for a moment those of its predecessor
LIMITS = Limits(streams=32)  # an Envoy has one for everything and one for each secret
T = TypeVar("T")
NO_RESOURCES: Resources = MappingProxyType({})
ALARM_PAUSE = 0.005  # seconds; not more often are all streams looked at
FORGET_AFTER = 2 * REMEMBERED  # seconds
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
    """One proxy with its socket, connections and calls (ADS or SDS; the newest is last)."""

    proxy: ProxyName
    path: Path
    inode: int
    authorize: Authorize | None
    server: asyncio.Server | None = None
    share: Share = field(default_factory=Share)
    connections: set[GrpcConnection] = field(default_factory=set[GrpcConnection])
    ads: "list[_DeltaCall]" = field(default_factory=list["_DeltaCall"])
    sds: "list[_DeltaCall]" = field(default_factory=list["_DeltaCall"])
    published: Published | None = None  # what the next two are of
    proxy_class: ProxyClass | None = None
    resources: Resources | None = None
    complaints: deque[Complaint] = field(default_factory=lambda: deque[Complaint](maxlen=KEPT_COMPLAINTS))


class _DeltaCall:
    """One stream: what comes goes to it, what it says goes to the peer."""

    __slots__ = (
        "_home",
        "_line",
        "_served",
        "_server",
        "more",
        "stream",
    )

    def __init__(
        self, server: "XdsServer", served: _Served, stream: Stream, home: "list[_DeltaCall]", line: Line
    ) -> None:
        self._server = server
        self._served = served
        self._home = home
        self._line = line
        self.stream = stream
        self.more = True
        home.append(self)

    def receive(self, message: bytes, now: float) -> None:
        try:
            self.stream.receive(message, now)
        except PretenderError as error:
            raise CallError(Status.PERMISSION_DENIED, str(error)) from None
        except DecodeError:
            raise CallError(Status.INVALID_ARGUMENT, "this is no DeltaDiscoveryRequest") from None
        except SubscriptionError as error:
            raise CallError(Status.INVALID_ARGUMENT, str(error)) from None
        except TooManyNamesError:
            raise CallError(Status.RESOURCE_EXHAUSTED, "too many names are subscribed to") from None
        state = self.stream.state
        if state.takes_secrets:
            self._server.aim(self._served, self.stream, now)  # perhaps it asked for the first one just now
            state = self.stream.state
        self.more = now >= state.idle_until
        if not self.more:
            self._server.rests_until(state.idle_until)

    def next_message(self, now: float) -> Framed | None:
        reply = self.stream.reply(now)
        idle_until = self.stream.state.idle_until
        self.more = now >= idle_until
        if not self.more:
            self._server.rests_until(idle_until)
        return reply

    def leap(self, resources: Resources, now: float) -> bool:
        """The short way from rest to what is said of news; False when there is none, and then nothing has changed.
        That statuses may be others is for the caller to tell (`XdsServer.tick`).
        """
        step = self.stream.leap(resources, now)
        if step is None or step.said is None or not self._line.connection.say(self, self._line, step.said):
            return False
        state = self.stream.state = step.state
        self.more = now >= state.idle_until
        if now < state.idle_until < math.inf:
            self._server.rests_until(state.idle_until)
        return True

    def wake_at(self, now: float) -> float | None:
        """Never: the server has one alarm for all streams."""
        del now

    def closed(self) -> None:
        self._home.remove(self)
        self._server.tick()


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
        self._book = Book(timing)
        self._of_class: dict[int, tuple[ProxyClass, Resources]] = {}  # of the newest published, by identity
        self._of_class_in: Published | None = None
        self._clock: Callable[[], float] = time.monotonic  # until there is a loop
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._forgets: asyncio.TimerHandle | None = None
        self._served: dict[ProxyName, _Served] = {}
        self._moved = Latest(0)
        self._ticking = False
        self._tasks = asyncio.TaskGroup()
        self._watchers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._clock = asyncio.get_running_loop().time
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
        for timer in (self._alarm, self._forgets):
            if timer is not None:
                timer.cancel()
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
        self.tick()

    def proxies(self) -> tuple[ProxyName, ...]:
        """Who is served."""
        return tuple(self._served)

    def _connection(self, served: _Served) -> GrpcConnection:
        clock = asyncio.get_running_loop().time
        return _CheckedConnection(served, partial(self._open, served), clock, self._heartbeat)

    def _open(self, served: _Served, path: str, line: Line) -> _DeltaCall:
        if path not in (ADS_PATH, SDS_PATH):
            raise CallError(Status.UNIMPLEMENTED, f"no such method: {path[:200]}")
        only, home = (None, served.ads) if path == ADS_PATH else (SECRET, served.sds)
        witness = Witness(served.proxy, partial(self._secrets.secrets_of, served.proxy))
        stream = Stream(served.proxy, self._book, self._heard(served), witness, only)
        self.aim(served, stream, asyncio.get_running_loop().time())
        return _DeltaCall(self, served, stream, home, line)

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

    def aim(self, served: _Served, stream: Stream, now: float) -> None:
        """Give a stream the newest of everything. A proxy that is not published keeps what it has."""
        secrets = self._secrets.secrets_of(served.proxy) if stream.state.takes_secrets else NOTHING
        if stream.only is not None:
            stream.aim(NO_RESOURCES, secrets, now)
            return
        resources = self._newest(served)
        if resources is not None:
            stream.aim(resources, secrets, now)

    def _newest(self, served: _Served) -> Resources | None:
        published = self._published.value
        before = served.published
        if before is not published:
            if before is None or before.proxies is not published.proxies:
                served.proxy_class = published.proxies.get(served.proxy)
            served.published, served.resources = published, self._resources_of(published, served.proxy_class)
        return served.resources

    def _resources_of(self, published: Published, proxy_class: ProxyClass | None) -> Resources | None:
        """As `Published.resources_of`; a class is looked up once, for that costs."""
        if self._of_class_in is not published:
            self._of_class_in = published
            self._of_class = {id(each): (each, resources) for each, resources in published.classes.items()}
        if proxy_class is None:
            return None
        known = self._of_class.get(id(proxy_class))
        if known is None:
            known = self._of_class[id(proxy_class)] = (proxy_class, published.classes[proxy_class])
        return known[1]

    async def _follow(self, news: Latest[T]) -> None:
        seen = news.value
        while True:
            seen = await news.newer_than(seen)
            now = self._clock()
            for number, served in enumerate(list(self._served.values()), start=1):
                self._refresh(served, now)
                if number % SLICE == 0:
                    self.tick()
                    await asyncio.sleep(0)
                    now = self._clock()
            self.tick()
            self._forget_soon()

    def _refresh(self, served: _Served, now: float) -> None:
        speaks, resources = False, self._newest(served)
        for call in served.ads:
            if resources is None or not call.leap(resources, now):
                self.aim(served, call.stream, now)
                speaks |= call.stream.state.idle_until <= now
        for call in served.sds:
            self.aim(served, call.stream, now)
            speaks |= call.stream.state.idle_until <= now
        if speaks:
            for connection in tuple(served.connections):
                connection.pump()

    def _forget_soon(self) -> None:
        """What was worked out for this news is not needed any more a moment later, though nothing else happens."""
        if self._forgets is None:
            self._forgets = asyncio.get_running_loop().call_later(FORGET_AFTER, self._forget)

    def _forget(self) -> None:
        self._forgets = None
        self._book.forget_old(self._clock())

    def rests_until(self, at: float) -> None:
        """A stream has nothing to say before that time."""
        if not self._ticking:
            self.tick()
        if at < self._alarm_at:
            self._set_alarm(at)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_at(max(at, loop.time() + ALARM_PAUSE), self._ring)

    def _ring(self) -> None:
        """Whoever waited for a moment that has come may speak. Who cannot take it will be asked when it can."""
        self._alarm, self._alarm_at = None, math.inf
        now, wake = self._clock(), math.inf
        for served in tuple(self._served.values()):
            at = _earliest(served)
            if at <= now:
                for connection in tuple(served.connections):
                    connection.pump()
                at = _earliest(served)
            if now < at < wake:
                wake = at
        self._book.forget_old(now)
        if wake < self._alarm_at:
            self._set_alarm(wake)

    def tick(self) -> None:
        """A status may be another one; said once for all that happens before the loop's next turn."""
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick_now)

    def _tick_now(self) -> None:
        self._ticking = False
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
        newest = [call.stream for call in (*served.sds[-1:], *served.ads[-1:])]
        told = newest if in_full else []
        acknowledged = {url: names for stream in told for url, names in stream.acknowledged().items()}
        refused = {key: version for stream in newest for key, version in stream.refused().items()}
        if not served.ads:
            return ProxyStatus(acknowledged=acknowledged, refused=refused, complaints=complaints)
        return ProxyStatus(
            connected=True,
            synced=self._is_synced(served),
            node_id=served.ads[-1].stream.node_id,
            acknowledged=acknowledged,
            refused=refused,
            complaints=complaints,
            waiting=sum(connection.waiting for connection in served.connections),
        )

    def _is_synced(self, served: _Served) -> bool:
        """Everything of the newest `Published` and of the secrets is acknowledged."""
        if not served.ads or self._published.value.resources_of(served.proxy) is None:
            return False
        streams = [call.stream for call in (*served.sds, served.ads[-1])]
        now = self._clock()
        for stream in streams:
            self.aim(served, stream, now)  # what was set a moment ago and not yet followed counts
        return all(stream.synced for stream in streams)

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


def _earliest(served: _Served) -> float:
    """When a stream of this proxy may have something to say though nothing happened."""
    earliest = math.inf
    for call in served.ads:
        earliest = min(earliest, call.stream.state.idle_until)
    for call in served.sds:
        earliest = min(earliest, call.stream.state.idle_until)
    return earliest


class _CheckedConnection(GrpcConnection):
    """A connection that knows its proxy, and hangs up when the peer is not who may speak for it."""

    __slots__ = ("_served",)

    def __init__(
        self,
        served: _Served,
        open_call: OpenCall,
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
