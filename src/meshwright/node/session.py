"""The control plane's side of one node's stream: bytes in, bytes out. No I/O, no clock."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Protocol

import msgspec

from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import PodStatus
from meshwright.node.messages import (
    PROTOCOL,
    Commit,
    DrainAsked,
    Dropped,
    Hello,
    Message,
    Rows,
    SignAsked,
    decode_up,
    encode,
)
from meshwright.node.progress import PROGRESS, STATUSES, ProxyProgress, progress_of, statuses_of
from meshwright.node.tables import Bounds, TableError, TableReceiver, TableSender, View
from meshwright.xds.grpc import CallError, Status

LOG = logging.getLogger(__name__)
NODE_BOUNDS = Bounds(tables=2, rows=200_000, bytes=16 << 20)
MOST_ASKED = 2_000  # requests of a node whose answers it has not taken yet


class SessionOwner(Protocol):
    """Who keeps the nodes together."""

    def began(self, session: "NodeSession") -> View | None:
        """The node said hello; the state it is to have, None when `start` will tell. Called once, before the rest."""
        ...

    def reported(
        self,
        session: "NodeSession",
        statuses: Mapping[ProxyName, PodStatus] | None,
        progress: Mapping[ProxyName, ProxyProgress] | None,
    ) -> None:
        """The node's pods or proxies are otherwise now; None = as before."""
        ...

    def sign_asked(self, session: "NodeSession", asked: SignAsked) -> None:
        """Answer with `session.answer`, now or later."""
        ...

    def drain_asked(self, session: "NodeSession", asked: DrainAsked) -> None:
        """Answer with `session.answer`, now or later."""
        ...

    def closed(self, session: "NodeSession") -> None:
        """The stream is over."""
        ...


class NodeSession:
    """A `Call` of the gRPC transport. Answers go first, then the newest state; never an older one."""

    more = True  # often there is

    def __init__(self, node: str, owner: SessionOwner) -> None:
        self.node = node
        self.greeted = False
        self._owner = owner
        self._sender = TableSender()
        self._receiver = TableReceiver(NODE_BOUNDS)
        self._answers: deque[Message] = deque()
        self._asked = 0
        self._ending = ""
        self._hello: Hello | None = None

    # ------------------------------------------------------------ from the transport

    def receive(self, message: bytes, now: float) -> None:
        """Raises CallError when the node breaks the protocol."""
        del now
        try:
            self._take(message)
        except msgspec.MsgspecError as error:
            raise CallError(Status.INVALID_ARGUMENT, f"not a message of a node: {error}") from None
        except TableError as error:
            raise CallError(Status.RESOURCE_EXHAUSTED, str(error)) from None

    def next_message(self, now: float) -> bytes | None:
        """The next message for the node. Raises CallError when the stream was given up."""
        del now
        if self._ending:
            raise CallError(Status.UNAVAILABLE, self._ending)
        if not self.greeted:
            return None
        if self._answers:
            self._asked -= 1  # only now: whoever asks and does not read must not fill our memory
            return encode(self._answers.popleft())
        message = self._sender.next_message()
        return None if message is None else encode(message)

    def wake_at(self, now: float) -> float | None:
        del now
        return None

    def closed(self) -> None:
        self._owner.closed(self)

    # ------------------------------------------------------------ from the owner

    def aim(self, view: View) -> None:
        """The newest state of the node."""
        if self.greeted:
            self._sender.aim(view)

    def answer(self, message: Message) -> None:
        """Answer a request of the node."""
        self._answers.append(message)

    def end(self, reason: str) -> None:
        """Give the stream up; the transport is told when it asks next."""
        self._ending = reason

    @property
    def sent(self) -> tuple[int, View | None]:
        """The serial of the newest commit, and what it brought."""
        return self._sender.serial, self._sender.committed

    # ------------------------------------------------------------ parts

    def _take(self, data: bytes) -> None:
        message = decode_up(data)
        if isinstance(message, Hello):
            self._greet(message)
            return
        if self._hello is None:
            raise TableError("the first message is no hello")
        match message:
            case Rows() | Dropped():
                if isinstance(message, Rows) and message.table not in {STATUSES, PROGRESS}:
                    raise TableError(f"no table of a node: {message.table[:100]!r}")
                self._receiver.take(message)
            case Commit():
                moved = self._receiver.commit()
                tables = self._receiver.tables
                statuses = statuses_of(tables.get(STATUSES, {})) if STATUSES in moved else None
                progress = progress_of(tables.get(PROGRESS, {})) if PROGRESS in moved else None
                self._owner.reported(self, statuses, progress)
            case SignAsked():
                self._count()
                self._owner.sign_asked(self, message)
            case DrainAsked():
                self._count()
                self._owner.drain_asked(self, message)

    def _count(self) -> None:
        self._asked += 1
        if self._asked > MOST_ASKED:
            raise TableError("too many requests whose answers are not taken")

    def _greet(self, hello: Hello) -> None:
        if self._hello is not None:
            raise TableError("a second hello")
        if hello.protocol != PROTOCOL:
            raise CallError(Status.UNIMPLEMENTED, f"protocol {hello.protocol}; this is {PROTOCOL}")
        self._hello = hello
        view = self._owner.began(self)
        if view is not None:
            self.start(view)

    @property
    def is_blank(self) -> bool:
        """Whether the node has no state, neither from before nor from us: it can report nothing before it has one."""
        return self._hello is not None and not self._hello.tables and not self.greeted

    def start(self, view: View) -> None:
        """The first state of the node; from now on something may be sent."""
        assert self._hello is not None, "a node is known by its hello"
        self._sender.resume(self._hello.tables, self._hello.blobs, view)
        self.greeted = True
