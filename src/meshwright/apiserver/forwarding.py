"""One forwarded connection: bytes between a client's stream and a socket in a pod, with bounded memory."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from socket import SHUT_WR, socket

from meshwright.apiserver.pod_streams import StreamError

PIECE = 32_768
MOST_WAITING = 1 << 20  # bytes from the client that a pod has not taken
STUCK_SECONDS = 30.0  # how long a pod that takes nothing may hold up the other connections of the client

Say = Callable[[bytes], Awaitable[None]]
Dial = Callable[[], Awaitable[socket]]


class Forwarded:
    """`take`, `end` and `abort` from the client's side; `run` carries all of it, and says what the pod says.

    `aborted`: the client has said that it wants no more.
    """

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self.aborted = False
        self._stuck = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._over = asyncio.Event()

    async def take(self, data: bytes) -> None:
        """Bytes for the pod. Waits while too much is on its way; a pod that takes nothing for long is given up."""
        if self._ended or self._over.is_set() or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        self._news.set()
        while self._size > MOST_WAITING and not self._over.is_set():
            self._room.clear()
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._room.wait()
            except TimeoutError:
                self._stuck = True
                self._stop()

    def end(self) -> None:
        """The client says no more; what the pod says still comes."""
        self._ended = True
        self._news.set()

    def abort(self) -> None:
        """The client neither says nor hears more."""
        self.aborted = True
        self._stop()

    def _stop(self) -> None:
        self._waiting.clear()
        self._size = 0
        self._over.set()
        self._news.set()
        self._room.set()

    async def run(self, dial: Dial, say: Say, finish: Callable[[], Awaitable[None]]) -> str:
        """Until both sides are done; why it failed, empty when it did not. `finish`: the pod says no more."""
        try:
            endpoint = await dial()
        except StreamError as error:
            self._over.set()
            self._room.set()
            return str(error)
        try:
            return await self._carry(endpoint, say, finish)
        finally:
            self._over.set()
            self._room.set()
            endpoint.close()

    async def _carry(self, endpoint: socket, say: Say, finish: Callable[[], Awaitable[None]]) -> str:
        failures: list[str] = []

        async def guarded(work: Awaitable[None]) -> None:
            try:
                await work
            except OSError as error:  # the pod reset the connection, in whichever direction
                failures.append(error.strerror or str(error))
                self._over.set()

        async with asyncio.TaskGroup() as tasks:
            both = [
                tasks.create_task(guarded(self._upwards(endpoint))),
                tasks.create_task(guarded(self._downwards(endpoint, say, finish))),
            ]
            over = tasks.create_task(self._over.wait())
            while not over.done() and not all(task.done() for task in both):
                await asyncio.wait((over, *(task for task in both if not task.done())), return_when="FIRST_COMPLETED")
            for task in (over, *both):
                task.cancel()
        if self._stuck:
            return f"it took nothing for {STUCK_SECONDS:.0f} s"
        return "" if self.aborted else "; ".join(failures)

    async def _upwards(self, endpoint: socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._waiting:
                data = self._waiting.popleft()
                await loop.sock_sendall(endpoint, data)
                self._size = max(0, self._size - len(data))
                self._room.set()
            if self._ended:
                break
            self._news.clear()
            await self._news.wait()
        endpoint.shutdown(SHUT_WR)

    async def _downwards(self, endpoint: socket, say: Say, finish: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(endpoint, PIECE):
            await say(data)
        await finish()
