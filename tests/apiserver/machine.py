"""A machine for the streams of pods: programs of this host, without any sandbox. And pods that say they run."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from meshwright.apiserver.pod_streams import Command, ContainerRef, Ended, LogOptions, StreamError
from meshwright.wiring.pod_logs import read_log
from tests.apiserver.objects import Json, pods
from tests.apiserver.server import Client

LOST = "lost"  # the last word of a command whose end nobody hears of


@dataclass
class HostPrograms:
    """`started` are the pids of all programs, `ended` of those that are over; `log` is the output of
    every container whose pod has no file of its own name beside it.
    """

    log: Path
    started: list[int] = field(default_factory=list[int])
    ended: list[int] = field(default_factory=list[int])

    def logs(
        self, ref: ContainerRef, options: LogOptions, going_on: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        own = self.log.with_name(f"{ref.pod}.log")
        return read_log(own if own.exists() else self.log, options, going_on)

    @asynccontextmanager
    async def execute(
        self, ref: ContainerRef, command: Command, streams: tuple[int, int, int]
    ) -> AsyncGenerator[Ended]:
        del ref
        stdin, stdout, stderr = streams
        argv = ("setsid", "--ctty", "--wait", *command.argv) if command.terminal else command.argv
        try:
            process = await asyncio.create_subprocess_exec(*argv, stdin=stdin, stdout=stdout, stderr=stderr)
        except OSError as error:
            raise StreamError(f"{command.argv[0]}: {error.strerror}") from None
        self.started.append(process.pid)

        async def ended() -> int:
            code = await process.wait()
            if command.argv[-1] == LOST:
                raise StreamError("the machine is gone")
            return code

        try:
            yield ended
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self.ended.append(process.pid)

    async def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        del namespace, pod
        made = socket.socket()
        made.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        except OSError as error:
            made.close()
            raise StreamError(os.strerror(error.errno or 0)) from None
        return made


def running_pod(admin: Client, namespace: str, name: str, **container: Json) -> None:
    """A pod that says it runs; `container`: name -> status (default: one, `app`, which runs)."""
    statuses = container or {"app": {"state": {"running": {}}}}
    spec = {"nodeName": "here", "containers": [{"name": each, "image": "x"} for each in statuses]}
    made = admin.must(
        admin.post(pods(namespace), {"metadata": {"name": name}, "spec": spec, "kind": "Pod", "apiVersion": "v1"})
    )
    listed = [{"name": each, "restartCount": 0, **status} for each, status in statuses.items()]
    made["status"] = {"phase": "Running", "containerStatuses": listed}
    admin.must(admin.put(pods(namespace, name) + "/status", made))
