"""The processes that the holder has started: table, reaping, signals.

As process 1 of the sandbox (or as subreaper without one) the holder also inherits orphans; those are reaped and
forgotten. When a process ends, what is left of its session is ended with it, as the end of a container would.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from meshwright.processes import launcher, procfs
from meshwright.processes.messages import BadRequest


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: an exit status, or the signal that ended it."""

    code: int | None
    signal: int | None

    @staticmethod
    def of(status: int) -> "Exit":
        """From the status word of waitpid."""
        if os.WIFSIGNALED(status):
            return Exit(None, os.WTERMSIG(status))
        return Exit(os.WEXITSTATUS(status), None)

    @property
    def shell_code(self) -> int:
        """As a shell reports it: 128 + the signal's number."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


@dataclass(slots=True)
class Child:
    """One started process; `exit` is None while it runs."""

    pod: str
    name: str
    role: str
    pid: int
    start_time: int
    exit: Exit | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def describe(self) -> dict[str, Any]:
        """As the protocol shows it."""
        shown: dict[str, Any] = {
            "pod": self.pod,
            "name": self.name,
            "role": self.role,
            "pid": self.pid,
            "start_time": self.start_time,
            "running": self.exit is None,
        }
        if self.exit is not None:
            shown |= {"code": self.exit.code, "signal": self.exit.signal}
        return shown


class Children:
    """The table, keyed by pod and name; `on_exit` is called once for every child of the table that ends."""

    def __init__(self, on_exit: Callable[[Child], None]) -> None:
        self._on_exit = on_exit
        self._table: dict[tuple[str, str], Child] = {}
        self._running: dict[int, Child] = {}
        self._tools: dict[int, asyncio.Future[Exit]] = {}

    def start(self, pod: str, name: str, role: str, spec: launcher.Launch) -> Child:
        """Start a program and enter it into the table. BadRequest when that name runs or the start fails."""
        known = self._table.get((pod, name))
        if known is not None and known.exit is None:
            raise BadRequest(f"{name} already runs in {pod}", "exists")
        pid = self._launch(spec)
        child = Child(pod, name, role, pid, procfs.start_time(pid) or 0)
        self._table[pod, name] = child
        self._running[pid] = child
        return child

    async def run(self, spec: launcher.Launch) -> Exit:
        """Run a tool to its end."""
        return await self.ended(self._launch(spec))

    def ended(self, pid: int) -> "asyncio.Future[Exit]":
        """The coming end of a process forked by this one that is not in the table."""
        future: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._tools[pid] = future
        return future

    def _launch(self, spec: launcher.Launch) -> int:
        try:
            return launcher.launch(spec)
        except launcher.LaunchError as error:
            raise BadRequest(str(error), "not-started") from None

    def reap(self) -> None:
        """Collect every process that has ended; call it at SIGCHLD."""
        for pid, status in procfs.ended_children():
            self._note(pid, Exit.of(status))

    def _note(self, pid: int, ended: Exit) -> None:
        if (future := self._tools.pop(pid, None)) is not None:
            if not future.done():
                future.set_result(ended)
            return
        child = self._running.pop(pid, None)
        if child is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        child.exit = ended
        child.ended.set()
        self._on_exit(child)

    def get(self, pod: str, name: str) -> Child:
        """A child by name. BadRequest when there is none."""
        child = self._table.get((pod, name))
        if child is None:
            raise BadRequest(f"{pod} has no process {name}", "not-found")
        return child

    def all(self, pod: str | None = None) -> list[Child]:
        """Every child, or those of one pod, ended ones included, oldest first."""
        return [child for child in self._table.values() if pod is None or child.pod == pod]

    def forget(self, pod: str, name: str) -> None:
        """Drop an ended child from the table."""
        child = self._table.get((pod, name))
        if child is not None and child.exit is not None:
            del self._table[pod, name]

    def signal(self, child: Child, number: int, *, group: bool = False) -> bool:
        """Send a signal to a child (or its whole session's first group); False when it has already ended."""
        if child.exit is not None:
            return False
        try:
            if group:
                os.killpg(child.pid, number)
            else:
                os.kill(child.pid, number)
        except ProcessLookupError:
            return False
        return True

    async def stop(self, children: list[Child], seconds: float) -> None:
        """SIGTERM, wait at most `seconds`, then SIGKILL (at once when `seconds` is 0)."""
        for child in children if seconds > 0 else ():
            self.signal(child, signal.SIGTERM)
        if seconds <= 0 or not await self._wait(children, seconds):
            for child in children:
                self.signal(child, signal.SIGKILL, group=True)
            await self._wait(children, 5.0)

    async def _wait(self, children: list[Child], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                for child in children:
                    await child.ended.wait()
        except TimeoutError:
            return False
        return True
