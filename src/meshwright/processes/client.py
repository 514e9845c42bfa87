"""The other end of `server`: one connection to a unix socket that speaks lines of JSON and passes descriptors.

Works on asyncio's own loop and on uvloop. There is no task behind it: the loop calls back when something arrives.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from meshwright.processes import unixsockets
from meshwright.processes.messages import LONGEST_LINE, Fields, encode

_CHUNK = 65_536
_MOST_DESCRIPTORS = 16
_MOST_EVENTS = 10_000
LIFE_SECONDS = 10.0  # without any answer, after which a process is taken to be stopped or stuck


class RemoteError(Exception):
    """The other side refused a request; `code` is for programs, the text says why, and `said` the same as {key,
    values} where the other side has it so.
    """

    def __init__(self, code: str, message: str, said: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.said = said


class Disconnected(Exception):  # noqa: N818 - a state of the connection more than an error
    """The other side has gone. Connect again and ask it what it has."""


class NobodyThere(Disconnected):
    """Nobody listens: nothing was asked."""


class Unanswered(Disconnected):
    """The other side is there and says nothing; `asked` tells whether it may have heard the question."""

    def __init__(self, path: Path, *, asked: bool) -> None:
        super().__init__(f"what listens at {path} is stopped or stuck")
        self.asked = asked


class Client:
    """One connection. Requests may be sent while others wait for their answer."""

    def __init__(self, endpoint: socket.socket) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._received: deque[int] = deque()
        self._waiting: dict[int, asyncio.Future[tuple[Fields, list[int]]]] = {}
        self._events: deque[Fields] = deque()
        self._news = asyncio.Event()
        self._number = 0
        self._turn = asyncio.Lock()
        self._gone = False
        self._loop.add_reader(endpoint.fileno(), self._readable)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Connect. NobodyThere when nobody listens there."""
        try:
            return cls(unixsockets.connect(path))
        except OSError as error:
            raise NobodyThere(f"nothing answers at {path}: {error.strerror or error}") from None

    @property
    def connected(self) -> bool:
        return not self._gone

    async def call(
        self, operation: str, fields: dict[str, Any] | None = None, descriptors: tuple[int, ...] = ()
    ) -> tuple[Fields, list[int]]:
        """One request and its answer: the result's fields and the descriptors that came with it.

        RemoteError when it is refused, Disconnected when the other side goes before it answers. `descriptors` are
        sent along; they stay the caller's. Received ones become the caller's.
        """
        if self._gone:
            raise Disconnected("the connection is closed")
        self._number += 1
        number = self._number
        answer: asyncio.Future[tuple[Fields, list[int]]] = self._loop.create_future()
        self._waiting[number] = answer
        try:
            async with self._turn:
                await self._send(encode({**(fields or {}), "id": number, "op": operation}), descriptors)
            return await answer
        except OSError as error:
            self._lose()
            raise Disconnected(str(error)) from None
        finally:
            self._waiting.pop(number, None)

    async def _send(self, data: bytes, descriptors: tuple[int, ...]) -> None:
        if descriptors:
            # The first byte carries them; a fresh request always finds room for one.
            sent = socket.send_fds(self._endpoint, [data], descriptors)
            data = data[sent:]
        await self._loop.sock_sendall(self._endpoint, data)

    async def event(self) -> Fields:
        """The next event, in order. Disconnected when there will be none."""
        while not self._events:
            if self._gone:
                raise Disconnected("the connection is closed")
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._endpoint, _CHUNK, _MOST_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._received.extend(descriptors)
        if not data or len(self._buffer) > LONGEST_LINE:
            self._lose()
            return
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._understand(line)

    def _understand(self, line: bytes) -> None:
        fields = Fields.parse(line)
        if "event" in fields.values:
            self._events.append(fields)
            if len(self._events) > _MOST_EVENTS:
                self._lose()
            self._news.set()
            return
        error = fields.values.get("error")
        result = fields.object("result")
        carried = [self._received.popleft() for _ in range(result.integer("descriptors", 0)) if self._received]
        answer = self._waiting.get(fields.integer("id", -1))
        if answer is None or answer.done():
            for descriptor in carried:
                os.close(descriptor)
        elif error is not None:
            details = fields.object("error")
            code, message = details.text("code", "internal"), details.text("message", "")
            answer.set_exception(RemoteError(code, message, details.object("said").values or None))
        else:
            answer.set_result((result, carried))

    def _lose(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._loop.remove_reader(self._endpoint.fileno())
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Disconnected("the other side has gone"))
        self._news.set()

    def close(self) -> None:
        """End the conversation. May be called twice."""
        self._lose()
        while self._received:
            os.close(self._received.popleft())
        self._endpoint.close()


@asynccontextmanager
async def connected(path: Path) -> AsyncGenerator[Client]:
    """A connection for the length of a `with` block."""
    client = Client.open(path)
    try:
        yield client
    finally:
        client.close()


async def answer_of(
    path: Path, operation: str, fields: dict[str, Any] | None = None, patience: float = LIFE_SECONDS
) -> tuple[Fields, list[int]]:
    """One question on a connection of its own, to a process that lives: the answer may take as long as it likes.

    Raises RemoteError and Disconnected as `Client.call` does, Unanswered when the process shows no life for
    `patience` seconds. It is asked only when it has shown some.
    """
    if not await _lives(path, patience):
        raise Unanswered(path, asked=False)
    outcome: tuple[Fields, list[int]] | RemoteError | Disconnected
    async with connected(path) as client, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_close_when_dead(client, path, patience))
        try:
            outcome = await client.call(operation, fields)
        except (RemoteError, Disconnected) as error:
            outcome = Unanswered(path, asked=True) if watching.done() else error
        watching.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _lives(path: Path, patience: float) -> bool:
    """Whether a process answers at all; that it does not know the question is an answer."""
    try:
        async with asyncio.timeout(patience), connected(path) as client:
            await client.call("ping")
    except RemoteError:
        return True
    except TimeoutError:
        return False
    return True


async def _close_when_dead(client: Client, path: Path, patience: float) -> None:
    """Look after the process while a question waits; nothing is heard from a client that is closed."""
    try:
        while await _lives(path, patience):
            await asyncio.sleep(patience / 2)
    except Disconnected:
        return  # it has gone; so has the connection of the question
    client.close()
