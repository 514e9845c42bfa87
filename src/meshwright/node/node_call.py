"""The node's side of one stream: bytes in, bytes out. No I/O, no clock."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from meshwright.model.names import ProxyName
from meshwright.node.messages import (
    Blob,
    Commit,
    DrainAsked,
    Drained,
    Dropped,
    Message,
    Rows,
    SignAsked,
    Signed,
    decode_down,
    encode,
)
from meshwright.node.replica import Replica
from meshwright.node.tables import TableError, TableSender, View
from meshwright.xds.grpc import CallError, Status


class NodeCall:
    """A `Call` of the gRPC client: hello, then reports and requests; what comes goes to the replica.

    `committed` tells whether a whole state came; `broken` that what came does not fit what was there.
    """

    more = True  # often there is

    def __init__(self, replica: Replica, on_commit: Callable[[Commit], None]) -> None:
        self.committed = False
        self.broken = False
        self._replica = replica
        self._on_commit = on_commit
        self._greeted = False
        self._sender = TableSender()
        self._requests: deque[Message] = deque()
        self._number = 0
        self._signing: dict[int, asyncio.Future[Signed | None]] = {}
        self._draining: dict[int, asyncio.Future[None]] = {}
        self._closed = False

    # ------------------------------------------------------------ from the transport

    def receive(self, message: bytes, now: float) -> None:
        """Raises CallError when the control plane says what cannot be."""
        del now
        try:
            self._take(message)
        except (TableError, msgspec.MsgspecError) as error:
            self.broken = True
            raise CallError(Status.INVALID_ARGUMENT, f"the control plane's state cannot be used: {error}") from None

    def next_message(self, now: float) -> bytes | None:
        """Reports go before requests: whoever asks may rely on what was reported before."""
        del now
        if not self._greeted:
            self._greeted = True
            return encode(self._replica.hello())
        message = self._sender.next_message()
        if message is None and self._requests:
            message = self._requests.popleft()
        return None if message is None else encode(message)

    def wake_at(self, now: float) -> float | None:
        del now
        return None

    def closed(self) -> None:
        """Nobody answers any more. May be called twice."""
        self._closed = True
        for signing in self._signing.values():
            if not signing.done():
                signing.set_result(None)
        for draining in self._draining.values():
            if not draining.done():
                draining.set_result(None)
        self._signing.clear()
        self._draining.clear()

    # ------------------------------------------------------------ from the relay

    def aim(self, view: View) -> None:
        """The newest of what is reported."""
        self._sender.aim(view)

    def sign(self, pod: ProxyName, csr_pem: bytes) -> asyncio.Future[Signed | None]:
        """Ask for a certificate; None when the stream ends before the answer."""
        answer: asyncio.Future[Signed | None] = asyncio.get_running_loop().create_future()
        if self._closed:
            answer.set_result(None)
            return answer
        self._number += 1
        self._signing[self._number] = answer
        self._requests.append(SignAsked(self._number, pod, csr_pem))
        return answer

    def drain(self, pod: ProxyName) -> asyncio.Future[None]:
        """Ask to be told when a pod is drained; also done when the stream ends."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            answer.set_result(None)
            return answer
        self._number += 1
        self._draining[self._number] = answer
        self._requests.append(DrainAsked(self._number, pod))
        return answer

    # ------------------------------------------------------------ parts

    def _take(self, data: bytes) -> None:
        message = decode_down(data)
        match message:
            case Blob() | Rows() | Dropped():
                self._replica.take(message)
            case Commit():
                self._on_commit(message)
                self.committed = True
            case Signed():
                signing = self._signing.pop(message.number, None)
                if signing is not None and not signing.done():
                    signing.set_result(message)
            case Drained():
                draining = self._draining.pop(message.number, None)
                if draining is not None and not draining.done():
                    draining.set_result(None)
