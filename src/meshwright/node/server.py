"""The control plane's end of all node streams: what every node is to have goes down, what it reports comes up.

A node is its socket (or its client certificate), never what it says of itself. It gets its own pods, and the
resources of the classes of its own proxies; it reports about pods that are not another node's; it gets certificates
for the identities of the pods that are planned on it.
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState, PlannedPod, PodStatus
from meshwright.model.published import Published
from meshwright.model.workload import Identity
from meshwright.node.messages import PATH, DrainAsked, Drained, Message, SignAsked, Signed
from meshwright.node.progress import NO_PROGRESS, Live, ProxyProgress
from meshwright.node.session import NodeSession, SessionOwner
from meshwright.node.state import ClassEncoder, Documents, NodeEncoder
from meshwright.node.tables import EMPTY_VIEW, View
from meshwright.xds.grpc import CallError, Status
from meshwright.xds.heartbeat import DEFAULT_HEARTBEAT, Heartbeat
from meshwright.xds.http2 import Limits
from meshwright.xds.peer import listening_socket, peer_of
from meshwright.xds.session import Complaint
from meshwright.xds.share import UNTIMED, Share
from meshwright.xds.transport import Call, GrpcConnection, Line

LOG = logging.getLogger(__name__)
MOST_CONNECTIONS = 8  # of one node; an agent has one, and for a moment its predecessor's
LIMITS = Limits(streams=4)

Sign = Callable[[Identity, bytes], bytes]
"""From the identity and the request (PEM) to the chain (PEM). Raises ValueError with the reason of a refusal."""
Drain = Callable[[ProxyName], Awaitable[None]]
"""Returns when no proxy has the pod among its endpoints any more, or when it is useless to wait longer; bounded."""
NodeOf = Callable[[Mapping[str, Any]], str | None]
"""From a client's certificate (as `ssl` tells it) to the node's name."""


@dataclass(eq=False, slots=True)
class _Node:
    """One node: what it is to have, and what it said last."""

    name: str
    desired: Latest[DesiredState]
    documents: Latest[Documents]
    encoder: NodeEncoder = field(default_factory=NodeEncoder)
    view: View = EMPTY_VIEW
    session: NodeSession | None = None
    connections: "set[_NodeConnection]" = field(default_factory=set["_NodeConnection"])
    statuses: Mapping[ProxyName, PodStatus] | None = None
    progress: Mapping[ProxyName, ProxyProgress] = field(default_factory=dict[ProxyName, ProxyProgress])
    share: Share = field(default_factory=lambda: Share(UNTIMED))
    server: asyncio.Server | None = None
    path: Path | None = None
    inode: int = 0
    follower: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node. `waiting` = bytes that it has not read yet."""

    connected: bool
    waiting: int


class NodeServer:
    """Feeds every node that was added from the newest `Published` and its own desired state.

    An asynchronous context manager. `complain` hears (in the event loop) of everything that an Envoy refuses anew.
    """

    def __init__(
        self,
        published: Latest[Published],
        sign: Sign,
        drained: Drain,
        *,
        roots_pem: Latest[bytes] | None = None,
        complain: Callable[[Complaint], None] | None = None,
        held: bool = False,
    ) -> None:
        """`held`: nodes may report, and nothing is sent to them before `release`."""
        self.heartbeat: Heartbeat = DEFAULT_HEARTBEAT  # a node without life is hung up on; its proxies are absent
        self.statuses: Latest[Mapping[ProxyName, PodStatus]] = Latest({})
        self.moved = Latest(0)
        self._published = published
        self._roots = roots_pem or Latest(b"")
        self._sign = sign
        self._drained = drained
        self._complain = complain
        self._held = held
        self._nodes: dict[str, _Node] = {}
        self._classes = ClassEncoder()
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._spawn(self._follow(self._published, self._all))
        self._spawn(self._follow(self._roots, self._all))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._nodes):
            await self.remove(name)
        for listener in self._listeners:
            listener.close()
        for task in list(self._running):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    # ------------------------------------------------------------ nodes

    def release(self) -> None:
        """What is published and desired is true now: send it. A control plane that starts calls this when it has
        heard its nodes and compiled; an empty state that was sent before would end every pod.
        """
        self._held = False
        for node in self._all():
            self._aim(node)
            if node.session is not None and not node.session.greeted:
                node.session.start(node.view)
            self._pump(node)
        self._tick()

    async def add(
        self,
        name: str,
        desired: Latest[DesiredState],
        documents: Latest[Documents] | None = None,
        *,
        path: Path | None = None,
        uids: frozenset[int] | None = None,
    ) -> None:
        """Know a node. With `path` it is who connects to that unix socket (made 0600) with one of `uids` (this
        process's own by default). Raises ValueError for a name that is known, OSError when it cannot listen.
        """
        if name in self._nodes:
            raise ValueError(f"node {name} is known already")
        node = _Node(name, desired, documents or Latest[Documents]({}))
        if path is not None:
            allowed = uids if uids is not None else frozenset({os.geteuid()})
            listener = listening_socket(path, 0o600)
            node.path, node.inode = path, path.stat().st_ino
            loop = asyncio.get_running_loop()
            node.server = await loop.create_unix_server(
                lambda: _NodeConnection(self, lambda transport: node if _is_allowed(transport, allowed) else None),
                sock=listener,
            )
        self._nodes[name] = node
        node.follower = self._spawn(self._follow_node(node))

    async def remove(self, name: str) -> None:
        """Forget a node and hang up on it; what it reported is gone. Unknown names are no error."""
        node = self._nodes.pop(name, None)
        if node is None:
            return
        if node.server is not None:
            node.server.close()
        if node.follower is not None:
            node.follower.cancel()
        for connection in list(node.connections):
            connection.close("this node is not part of the mesh any more")
        if node.path is not None:
            with contextlib.suppress(FileNotFoundError):
                if node.path.stat().st_ino == node.inode:  # not that of a successor
                    node.path.unlink()
        self._merge()
        self._tick()

    async def listen(self, host: str, port: int, context: ssl.SSLContext, node_of: NodeOf) -> int:
        """Take nodes over TCP too; `context` must require client certificates, `node_of` reads the node's name out
        of one. Returns the port. Raises OSError.
        """
        if context.verify_mode is not ssl.CERT_REQUIRED:
            raise ValueError("nodes over TCP need client certificates")

        def find(transport: asyncio.BaseTransport) -> _Node | None:
            certificate: Mapping[str, Any] | None = transport.get_extra_info("peercert")
            name = node_of(certificate) if certificate else None
            node = self._nodes.get(name) if name else None
            if node is None:
                said = [value for _, value in (certificate or {}).get("subjectAltName", ())]
                where = transport.get_extra_info("peername")
                LOG.warning("%s is no node of this mesh: its certificate is of %s", where, said)
            return node

        context.sslobject_class = _WitnessedHandshake
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _NodeConnection(self, find), host, port, ssl=context)
        self._listeners.append(server)
        return int(server.sockets[0].getsockname()[1])

    def nodes(self) -> Mapping[str, NodeStatus]:
        """Every node that was added."""
        return {
            name: NodeStatus(node.session is not None, sum(each.waiting for each in node.connections))
            for name, node in self._nodes.items()
        }

    async def reported(self, name: str) -> None:
        """Wait until a node has said how its pods are, or came without any state (a new machine: it waits for us).

        Before that, publishing would take its endpoints away. Bound it: the node may be gone.
        """
        while True:
            seen = self.moved.value
            node = self._nodes.get(name)
            if node is not None and (node.statuses is not None or (node.session and node.session.is_blank)):
                return
            await self.moved.newer_than(seen)

    # ------------------------------------------------------------ receipts

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        """Every proxy that is published; those of nodes that are not connected have made no progress."""
        known = {name: each for node in self._nodes.values() for name, each in self._own(node)}
        return {name: known.get(name, NO_PROGRESS) for name in self._published.value.proxies}

    def live(self, change: int) -> dict[ProxyName, Live]:
        """Which published proxies run the set `change` (or a newer one) and have acknowledged all of it."""
        return {
            name: Live.ABSENT if not each.connected else Live.LIVE if each.change >= change else Live.WAITING
            for name, each in self.progress().items()
        }

    async def synced(self, timeout: float) -> bool:
        """Wait until every connected proxy runs the newest of everything; False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    seen = self.moved.value
                    if self._all_synced():
                        return True
                    await self.moved.newer_than(seen)
        except TimeoutError:
            return False

    def _all_synced(self) -> bool:
        return all(
            not each.connected or each.serial == self._newest(node)
            for node in self._nodes.values()
            for _, each in self._own(node)
        )

    def _newest(self, node: _Node) -> int:
        """The serial that stands for the newest state; -1 while that is not sent."""
        self._aim(node)
        serial, view = node.session.sent if node.session is not None else (-1, None)
        return serial if view is node.view else -1

    def _own(self, node: _Node) -> Iterator[tuple[ProxyName, ProxyProgress]]:
        """What a node may speak of: its own proxies."""
        own = {pod.name for pod in node.desired.value.pods}
        return ((name, each) for name, each in node.progress.items() if name in own)

    # ------------------------------------------------------------ what sessions tell

    def began(self, session: NodeSession) -> View | None:
        node = self._nodes[session.node]
        former, node.session, node.progress = node.session, session, {}
        if former is not None:
            former.end("another stream of this node has begun")
        self._aim(node)
        self._pump(node)
        self._tick()
        return None if self._held else node.view

    def reported_by(
        self,
        session: NodeSession,
        statuses: Mapping[ProxyName, PodStatus] | None,
        progress: Mapping[ProxyName, ProxyProgress] | None,
    ) -> None:
        node = self._node_of(session)
        if node is None:
            return
        if statuses is not None:
            foreign = {pod.name for other in self._nodes.values() if other is not node for pod in _pods(other)}
            if statuses.keys() & foreign:
                LOG.warning("node %s reports about pods of other nodes", node.name)
            node.statuses = {name: status for name, status in statuses.items() if name not in foreign}
            self._merge()
        if progress is not None:
            before, node.progress = node.progress, progress
            self._hear(node, before)
        self._tick()

    def sign_asked(self, session: NodeSession, asked: SignAsked) -> None:
        try:
            answer = Signed(asked.number, self._signed(session, asked))
        except ValueError as error:
            LOG.warning("node %s gets no certificate for %r: %s", session.node, asked.pod[:300], error)
            answer = Signed(asked.number, b"", str(error)[:1_000])
        session.answer(answer)

    def _signed(self, session: NodeSession, asked: SignAsked) -> bytes:
        node = self._node_of(session)
        pod = next((each for each in _pods(node) if each.name == asked.pod), None) if node else None
        if pod is None:
            raise ValueError("this pod is not planned on this node")
        if pod.role is None:
            raise ValueError("this pod has no proxy")
        return self._sign(pod.identity, asked.csr_pem)

    def drain_asked(self, session: NodeSession, asked: DrainAsked) -> None:
        self._spawn(self._drain(session, asked))

    async def _drain(self, session: NodeSession, asked: DrainAsked) -> None:
        if any(each.name == asked.pod for node in self._others(session) for each in _pods(node)):
            LOG.warning("node %s drains a pod of another node: %r", session.node, asked.pod[:300])
        else:
            try:
                await self._drained(ProxyName(asked.pod))
            except Exception:
                LOG.exception("nobody knows whether %r is drained", asked.pod[:300])
        self._answer(session, Drained(asked.number))

    def session_closed(self, session: NodeSession) -> None:
        node = self._node_of(session)
        if node is not None:
            node.session, node.progress = None, {}
        self._tick()

    def _answer(self, session: NodeSession, message: Message) -> None:
        session.answer(message)
        node = self._node_of(session)
        if node is not None:
            self._pump(node)

    def _node_of(self, session: NodeSession) -> _Node | None:
        """The node of a session that is still its newest."""
        node = self._nodes.get(session.node)
        return node if node is not None and node.session is session else None

    def _others(self, session: NodeSession) -> list[_Node]:
        return [node for name, node in self._nodes.items() if name != session.node]

    def _hear(self, node: _Node, before: Mapping[ProxyName, ProxyProgress]) -> None:
        for name, each in self._own(node):
            known = before.get(name, NO_PROGRESS).complaints
            for complaint in each.complaints:
                if complaint not in known and complaint.proxy == name and self._complain is not None:
                    self._complain(complaint)

    # ------------------------------------------------------------ news

    def _all(self) -> list[_Node]:
        return list(self._nodes.values())

    async def _follow(self, news: Latest[Any], nodes: Callable[[], list[_Node]]) -> None:
        seen = news.value
        while True:
            seen = await news.newer_than(seen)
            for node in nodes():
                self._aim(node)
                self._pump(node)
                await asyncio.sleep(0)
            self._tick()

    async def _follow_node(self, node: _Node) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(node.desired, lambda: [node]))
            tasks.create_task(self._follow(node.documents, lambda: [node]))

    def _aim(self, node: _Node) -> None:
        """Give a node's session the newest of everything."""
        if self._held:
            return
        published = self._published.value
        view = node.encoder.view(
            published,
            self._classes.classes(published),
            node.desired.value,
            node.documents.value,
            self._roots.value,
        )
        if view is not node.view:
            node.view = view
            if node.session is not None:
                node.session.aim(view)

    def _pump(self, node: _Node) -> None:
        for connection in list(node.connections):
            connection.pump()

    def _merge(self) -> None:
        merged: dict[ProxyName, PodStatus] = {}
        for node in self._nodes.values():
            merged.update(node.statuses or {})
        if merged != self.statuses.value:
            self.statuses.set(merged)

    def _tick(self) -> None:
        self.moved.set(self.moved.value + 1)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    # ------------------------------------------------------------ connections

    def open_call(self, node: _Node, path: str) -> Call:
        """The call that answers a request of a node. Raises CallError."""
        if path != PATH:
            raise CallError(Status.UNIMPLEMENTED, f"no such method: {path[:200]}")
        if self._nodes.get(node.name) is not node:
            raise CallError(Status.UNAVAILABLE, "this node is not part of the mesh any more")
        return NodeSession(node.name, owner_of(self))


class _WitnessedHandshake(ssl.SSLObject):
    """TLS whose failures stand in the log: whoever has no certificate of ours may be trying to be a node."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            LOG.warning("a peer that is no node was turned away: %s", error.reason or error)
            raise


class _Owner:
    """`NodeServer` as its sessions see it."""

    def __init__(self, server: NodeServer) -> None:
        self.began = server.began
        self.reported = server.reported_by
        self.sign_asked = server.sign_asked
        self.drain_asked = server.drain_asked
        self.closed = server.session_closed


def owner_of(server: NodeServer) -> SessionOwner:
    """The owner of sessions whose node is known already."""
    return _Owner(server)


class _NodeConnection(GrpcConnection):
    """A connection that knows its node, and hangs up on anybody else."""

    def __init__(self, server: NodeServer, find: Callable[[asyncio.BaseTransport], _Node | None]) -> None:
        super().__init__(self._open, asyncio.get_running_loop().time, self._gone, LIMITS, heartbeat=server.heartbeat)
        self._server = server
        self._find = find
        self._node: _Node | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        node = self._find(transport)
        if node is None or len(node.connections) >= MOST_CONNECTIONS:
            transport.close()
            return
        self._node = node
        self._share = node.share
        node.connections.add(self)
        super().connection_made(transport)

    def _open(self, path: str, line: Line) -> Call:
        del line  # it waits until it is asked
        assert self._node is not None, "nothing is read before a node is known"
        return self._server.open_call(self._node, path)

    def _gone(self, connection: GrpcConnection) -> None:
        del connection
        if self._node is not None:
            self._node.connections.discard(self)


def _pods(node: _Node) -> tuple[PlannedPod, ...]:
    return node.desired.value.pods


def _is_allowed(transport: asyncio.BaseTransport, uids: frozenset[int]) -> bool:
    peer = peer_of(transport.get_extra_info("socket"))
    if peer.pidfd is not None:
        os.close(peer.pidfd)
    if peer.uid in uids:
        return True
    LOG.warning("process %d (uid %d) may not speak for a node", peer.pid, peer.uid)
    return False
