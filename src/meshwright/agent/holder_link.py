"""The agent's connection to the holder, made again whenever it breaks.

A `Session` is one connection with what the holder had at its beginning and every exit since. When the holder goes,
everything that waits on its session gets `Disconnected`; who needs the holder then asks for the next session and
looks at what is there: after a mere loss of connection everything, after the holder's death nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from meshwright.asynctools.latest import Latest
from meshwright.processes.children import Exit
from meshwright.processes.holder_client import Disconnected, HolderClient, Inventory, ProcessInfo, SpawnSpec

_RETRY_SECONDS = 0.1


class Session:
    """One connection. `client` carries the calls; processes are known by pod and name, told apart by start time."""

    def __init__(self, client: HolderClient, inventory: Inventory) -> None:
        self.client = client
        self.pods = {pod.pod: pod for pod in inventory.pods}
        self._processes = {(process.pod, process.name): process for process in inventory.processes}
        self._waiting: dict[ProcessInfo, asyncio.Future[Exit]] = {}
        self._lost = False

    def process(self, pod: str, name: str) -> ProcessInfo | None:
        """A process as far as it is known, running or ended."""
        return self._processes.get((pod, name))

    def processes(self, pod: str) -> list[ProcessInfo]:
        """The processes of one pod, ended ones included."""
        return [process for process in self._processes.values() if process.pod == pod]

    async def spawn(self, spec: SpawnSpec) -> ProcessInfo:
        """Start a program. RemoteError says why it cannot be."""
        process = await self.client.spawn(spec)
        known = self.process(process.pod, process.name)
        # Its end may have been heard of before the answer to the start.
        if known is None or not _same(known, process):
            self._processes[process.pod, process.name] = process
        return process

    async def exit_of(self, process: ProcessInfo) -> Exit:
        """How the process ended, as soon as it has. Disconnected when that cannot be known any more."""
        if self._lost:
            raise Disconnected("the holder has gone")
        known = self.process(process.pod, process.name)
        if known is not None and _same(known, process) and known.exit is not None:
            return known.exit
        future = self._waiting.get(process)
        if future is None:
            future = self._waiting[process] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(future)

    async def ended_within(self, process: ProcessInfo, seconds: float) -> bool:
        """Whether the process ends in this time."""
        return await self.all_ended_within([process], seconds)

    async def all_ended_within(self, processes: Iterable[ProcessInfo], seconds: float) -> bool:
        """Whether all of them end in this time."""
        try:
            async with asyncio.timeout(seconds):
                for process in processes:
                    await self.exit_of(process)
        except TimeoutError:
            return False
        return True

    async def terminate(self, process: ProcessInfo, number: int, *, group: bool = False) -> None:
        """Send a signal to a process of this session; nothing happens when it has ended."""
        known = self.process(process.pod, process.name)
        if known is not None and _same(known, process) and known.exit is None:
            await self.client.signal(process.pod, process.name, number, group=group)

    def forget(self, pod: str) -> None:
        """The pod has been removed."""
        self.pods.pop(pod, None)
        for process in self.processes(pod):
            del self._processes[process.pod, process.name]

    def note(self, ended: ProcessInfo) -> None:
        """A process has ended."""
        known = self.process(ended.pod, ended.name)
        if known is None or known.start_time <= ended.start_time:
            self._processes[ended.pod, ended.name] = ended
        for process in [process for process in self._waiting if _same(process, ended)]:
            future = self._waiting.pop(process)
            if ended.exit is not None and not future.done():
                future.set_result(ended.exit)

    def lose(self) -> None:
        """The connection is gone."""
        self._lost = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Disconnected("the holder has gone"))
                future.exception()  # nobody may be waiting any more; that is no error
        self._waiting.clear()
        self.client.close()


def _same(one: ProcessInfo, other: ProcessInfo) -> bool:
    return (one.pod, one.name, one.pid, one.start_time) == (other.pod, other.name, other.pid, other.start_time)


class HolderLink:
    """`current` is the session, None while nobody answers. `run` keeps it so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current: Latest[Session | None] = Latest(None)

    async def session(self) -> Session:
        """The session, when there is one that lives. One that has just been lost is `current` for a moment more: who
        got it, and asked for another at once, would leave nobody the time to notice.
        """
        session = self.current.value
        while session is None or not session.client.connected:
            session = await self.current.newer_than(session)
        return session

    async def run(self) -> None:
        """Connect, listen, and again, for ever."""
        while True:
            try:
                client = HolderClient.open(self.path)
            except Disconnected:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            session: Session | None = None
            try:
                with contextlib.suppress(Disconnected):
                    session = Session(client, await client.watch())
                    self.current.set(session)
                    async for ended in client.exits():
                        session.note(ended)
            finally:
                self.current.set(None)
                client.close()
                if session is not None:
                    session.lose()
            await asyncio.sleep(_RETRY_SECONDS)
