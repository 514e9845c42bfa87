"""`pods/exec` and `pods/attach`: a program in a pod, and a client with channels to it.

Channels are 0 stdin, 1 stdout, 2 stderr, 3 how it ended (a Status), 4 the size of the terminal. Nothing is queued
here: what the client does not read, the program cannot write, and what the program does not read, the client cannot
send.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from meshwright.apiserver import pipes
from meshwright.apiserver.access import User
from meshwright.apiserver.api import Part, Streams
from meshwright.apiserver.channels import CLOSE, RESIZE, STATUS, STDERR, STDIN, STDOUT, V4, V5, Channels, accepted
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.failure import bad_request, method_not_allowed, unavailable
from meshwright.apiserver.options import Target, flag
from meshwright.apiserver.pod_containers import PodNow, pod_of, same_program
from meshwright.apiserver.pod_streams import Command, ContainerRef, LogOptions, PodStreams, StreamError
from meshwright.apiserver.program_streams import ProgramStreams, open_streams
from meshwright.apiserver.values import dig, is_map, map_of
from meshwright.apiserver.web_sockets import until_gone
from meshwright.store.names import Json
from meshwright.store.store import Store

LOG = logging.getLogger(__name__)
MOST_WORDS = 4096
_SILENCE_SECONDS = 0.5  # how long outputs may say nothing after the program's end, where somebody else still has them


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for."""

    container: str
    argv: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    terminal: bool


class RemoteCommands:
    """The handlers of one API."""

    def __init__(self, store: Store, machine: PodStreams, streams: Streams) -> None:
        self._store = store
        self._machine = machine
        self._streams = streams

    def parts(self) -> tuple[Part, Part]:
        """What make_api takes."""
        verbs = ("create", "get")
        return (
            Part(Subresource("pods", "exec", "PodExecOptions", verbs), http=self._no_socket, socket=self._exec),
            Part(Subresource("pods", "attach", "PodAttachOptions", verbs), http=self._no_socket, socket=self._attach),
        )

    async def _no_socket(self, request: Request, target: Target, _user: User) -> Response:
        """Those who ask without an upgrade hear what is wrong. Raises Failure."""
        if request.method not in ("GET", "POST"):
            raise method_not_allowed(target.about)
        await self._check(request.query_params, target)
        raise bad_request(f"{target.subresource} needs a WebSocket (or SPDY/3.1) with {V5} or {V4}")

    async def _check(self, query: QueryParams, target: Target) -> tuple[Wanted, PodNow, ContainerRef]:
        wanted = _wanted(query, target.subresource)
        pod = await pod_of(self._store, target)
        return wanted, pod, pod.running(wanted.container)

    async def _exec(self, websocket: WebSocket, target: Target, _user: User) -> None:
        wanted, _, ref = await self._check(websocket.query_params, target)
        try:
            streams = open_streams(
                stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr, terminal=wanted.terminal
            )
        except OSError as error:
            raise unavailable(f"no command can be started now: {error.strerror}") from None
        try:
            await self._converse(websocket, streams, ref, Command(wanted.argv, wanted.terminal))
        finally:
            streams.close()

    async def _converse(
        self, websocket: WebSocket, streams: ProgramStreams, ref: ContainerRef, command: Command
    ) -> None:
        session = _Session(await accepted(websocket), streams)

        async def run() -> Json:
            try:
                async with self._machine.execute(ref, command, streams.inner) as ended:
                    streams.give_away()
                    return await session.passing(ended)
            except StreamError as error:
                return failed(f"error executing command in container: {error}")

        await self._until_over(session, websocket, run)

    async def _attach(self, websocket: WebSocket, target: Target, _user: User) -> None:
        """What the container's program says from now on; its standard input is closed, Kubernetes' default."""
        _, pod, ref = await self._check(websocket.query_params, target)
        channels = await accepted(websocket)
        session = _Session(channels, open_streams(stdin=False, stdout=False, stderr=False, terminal=False))
        unchanged = same_program(self._store, target, ref, pod)

        async def going_on() -> bool:
            return not self._streams.stopping and await unchanged()

        async def run() -> Json:
            async for piece in self._machine.logs(ref, LogOptions(follow=True, tail=0), going_on):
                if piece:
                    await channels.send(STDOUT, piece)
            return await self._how_it_ended(target, ref)

        try:
            await self._until_over(session, websocket, run)
        finally:
            session.streams.close()

    async def _how_it_ended(self, target: Target, ref: ContainerRef) -> Json:
        status = (await pod_of(self._store, target)).status(ref.container)
        code = dig(status, "state", "terminated", "exitCode") or dig(status, "lastState", "terminated", "exitCode")
        return exit_status(code if isinstance(code, int) else 0)

    async def _until_over(
        self, session: "_Session", websocket: WebSocket, run: Callable[[], Awaitable[Json]]
    ) -> None:
        """Until the program ends (the client is told), the client goes (the program ends), or the server stops."""

        async def work() -> None:
            status = await run()
            await session.channels.send(STATUS, msgspec.json.encode(status))
            await session.channels.close()

        try:
            async with self._streams.until_stopped(), asyncio.TaskGroup() as tasks:
                works = [tasks.create_task(each) for each in (work(), session.listen(), until_gone(websocket.scope))]
                await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
                for task in works:
                    task.cancel()
        except* (WebSocketDisconnect, RuntimeError, TimeoutError):
            LOG.debug("a client went while something was on its way to it")


class _Session:
    """One conversation."""

    def __init__(self, channels: Channels, streams: ProgramStreams) -> None:
        self.channels = channels
        self.streams = streams
        self._heard = asyncio.get_running_loop().time()

    async def passing(self, ended: Callable[[], Awaitable[int]]) -> Json:
        """Pass on what the program says until it has ended; how it ended."""
        async with asyncio.TaskGroup() as tasks:
            outputs = [
                tasks.create_task(self._pass(channel, descriptor))
                for channel, descriptor in ((STDOUT, self.streams.stdout), (STDERR, self.streams.stderr))
                if descriptor >= 0
            ]
            try:
                status = exit_status(await ended())
            except StreamError as error:
                status = failed(str(error))
            self._heard = asyncio.get_running_loop().time()
            while pending := [task for task in outputs if not task.done()]:
                quiet = asyncio.get_running_loop().time() - self._heard
                if quiet >= _SILENCE_SECONDS:
                    break
                await asyncio.wait(pending, timeout=_SILENCE_SECONDS - quiet)
            for task in outputs:
                task.cancel()
        return status

    async def _pass(self, channel: int, descriptor: int) -> None:
        while piece := await pipes.read(descriptor):
            self._heard = float("inf")  # while the client takes its time, nothing is silent
            await self.channels.send(channel, piece)
            self._heard = asyncio.get_running_loop().time()

    async def listen(self) -> None:
        """Pass on what the client says until it goes."""
        while (said := await self.channels.receive()) is not None:
            await self._take(*said)

    async def _take(self, channel: int, data: bytes) -> None:
        streams = self.streams
        if channel == STDIN and streams.stdin >= 0:
            if data and not await pipes.write(streams.stdin, data) and not streams.terminal:
                streams.close_stdin()
        elif channel == CLOSE and data[:1] == bytes((STDIN,)):
            streams.close_stdin()
        elif channel == RESIZE:
            try:
                size = msgspec.json.decode(data)
            except msgspec.DecodeError:
                return
            if is_map(size) and isinstance(size.get("Width"), int) and isinstance(size.get("Height"), int):
                streams.resize(size["Width"], size["Height"])


def _wanted(query: QueryParams, subresource: str) -> Wanted:
    """Raises Failure 400."""
    attach = subresource == "attach"
    argv = tuple(query.getlist("command"))
    if not attach and (not argv or not argv[0]):
        raise bad_request("you must specify at least 1 command for the container")
    if len(argv) > MOST_WORDS or any("\0" in word for word in argv):
        raise bad_request("the command has too many words, or a word with a zero byte")
    terminal = flag(query, "tty")
    wanted = Wanted(
        container=query.get("container", ""),
        argv=argv,
        stdin=_asked(query, "stdin", default=False),
        stdout=_asked(query, "stdout", default=attach),
        stderr=_asked(query, "stderr", default=attach) and not terminal,
        terminal=terminal,
    )
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if attach and (wanted.stdin or wanted.terminal):
        raise bad_request("containers have no standard input and no terminal here: attach without -i and -t")
    return wanted


def _asked(query: QueryParams, name: str, *, default: bool) -> bool:
    return flag(query, name) if name in query else default


def exit_status(code: int) -> Json:
    """How a program ended, as clients read it."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(message: str) -> Json:
    """It could not be started, or was lost."""
    said = f"Internal error occurred: {message}"
    details = map_of({"causes": [{"message": message}]})
    return {
        "metadata": {},
        "status": "Failure",
        "message": said,
        "reason": "InternalError",
        "details": details,
        "code": 500,
    }
