"""One pod from its first start to its removal.

Starting: namespace, identity and Envoy, Envoy ready, init containers, then the applications. Leaving: out of every
proxy's endpoints, requests in flight served, applications ended, Envoy last.
"""

import asyncio
import signal
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from meshwright.agent.container import CREATING, INITIALIZING, ContainerRunner
from meshwright.agent.holder_link import Session
from meshwright.agent.machine import PROXY_CONTAINER, Machine
from meshwright.agent.pod_memory import Memories, PodMemory
from meshwright.agent.pod_spec import AnnotationError, applications, pod_spec
from meshwright.agent.preparation import Preparation
from meshwright.agent.proxy import ProxyRunner
from meshwright.agent.replacement import fingerprint
from meshwright.agent.volumes import refresh
from meshwright.model.names import Milliseconds, ProxyName
from meshwright.model.planned_pod import PlannedPod, PodPhase, PodStatus
from meshwright.model.proxy import Role
from meshwright.processes.holder_client import Disconnected, RemoteError

_BUILD_AGAIN_SECONDS = 1.0
_LONGEST_BARRIER_SECONDS = 30.0
_REFRESH_SECONDS = 2.0
_KILLED_SECONDS = 10.0
_CONNECT_SECONDS = 2.0


class PodRunner:
    """`status` is how the pod is doing; `changed` is called whenever that is another value than before."""

    def __init__(
        self, machine: Machine, pod: PlannedPod, changed: Callable[[], None], memory: PodMemory | None = None
    ) -> None:
        self.pod = pod
        self._machine = machine
        self._changed = changed
        self._memories = Memories(machine.memory_folder)
        self._stop = asyncio.Event()
        self._mesh_ends = asyncio.Event()
        self._ended = asyncio.Event()
        self._message = ""
        self._started = memory.started if memory else machine.clock()
        self._served = memory is not None and memory.ready
        self._proxy = (
            ProxyRunner(machine, pod, self._publish, was_ready=memory is not None and memory.proxy_ready)
            if pod.role is not None
            else None
        )
        self._containers = [
            ContainerRunner(
                machine, pod, container, self._publish, memory.container(container.name) if memory else None
            )
            for container in applications(pod)
        ]
        self._preparation = Preparation(machine, pod, self._publish, memory)
        self.status: PodStatus = self._status()

    @property
    def name(self) -> ProxyName:
        return self.pod.name

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def proxy_stopped(self) -> bool:
        """Whether its Envoy is a stopped process (SIGSTOP)."""
        return self._proxy is not None and self._proxy.stopped

    def update(self, pod: PlannedPod) -> None:
        """The pod's plan has changed in a way that needs no restart."""
        self.pod = pod
        if self._proxy is not None:
            self._proxy.update(pod)
        for container in self._programs:
            container.update(pod)
        self._publish()

    def request_stop(self, *, mesh_ends: bool = False) -> None:
        """Begin to leave. `mesh_ends`: everything else leaves too, so nobody has to be told."""
        if mesh_ends:
            self._mesh_ends.set()
        self._stop.set()

    async def run(self) -> None:
        """Until the pod has been asked to stop and is gone. Cancelling leaves its processes running."""
        async with asyncio.TaskGroup() as tasks:
            living = tasks.create_task(self._live())
            await self._stop.wait()
            self._publish()
            if self._served:
                await self._leave_endpoints()
            living.cancel()
        await self._take_down()

    # ------------------------------------------------------------ status

    @property
    def _programs(self) -> tuple[ContainerRunner, ...]:
        """All containers but Envoy."""
        return (*self._containers, *self._preparation.runners)

    def _status(self) -> PodStatus:
        proxy, preparation = self._proxy, self._preparation
        shown = tuple(container.status for container in self._programs)
        if not preparation.done:
            shown = tuple(replace(each, reason=INITIALIZING) if each.reason == CREATING else each for each in shown)
        shown = (*shown, *([proxy.status] if proxy is not None else []))
        phase = PodPhase.PENDING
        if self.stopping:
            phase = PodPhase.TERMINATING
        elif self._over():
            failed = preparation.failed or any(container.status.exit_code for container in self._containers)
            phase = PodPhase.FAILED if failed else PodPhase.SUCCEEDED
        elif all(status.pid is not None or status.restarts or status.ready for status in shown):
            phase = PodPhase.RUNNING
        return PodStatus(
            phase=phase,
            ready=not self.stopping and all(status.ready for status in shown),
            proxy_ready=proxy is not None and proxy.status.ready,
            containers=shown,
            message=self._message,
            started=self._started,
        )

    def _over(self) -> bool:
        """Whether every application has ended for good, or none can ever start."""
        ended = bool(self._containers) and all(container.over for container in self._containers)
        return ended or self._preparation.failed

    def _publish(self) -> None:
        status = self._status()
        if status == self.status:
            return
        self.status = status
        self._served = self._served or status.ready
        if self._over():
            self._ended.set()
        self._remember()
        self._changed()

    def _remember(self) -> None:
        self._memories.write(
            self.name,
            PodMemory(
                fingerprint=fingerprint(self.pod),
                ready=self.status.ready,
                proxy_ready=self.status.proxy_ready,
                started=self._started,
                grace=self.pod.template.termination_grace,
                containers=tuple((container.name, container.memory) for container in self._programs),
            ),
        )

    def _say(self, message: str) -> None:
        self._message = message
        self._publish()

    # ------------------------------------------------------------ life

    async def _live(self) -> None:
        """Build the pod and keep it running, until all it does is done; after every loss of the holder once more."""
        self._remember()
        while not self._over():
            session = await self._machine.link.session()
            # Nothing may be awaited in an `except*` block: a cancellation there would become part of a group.
            refused = False
            try:
                await self._life(session)
            except* Disconnected:
                self._lose()
            except* (RemoteError, AnnotationError) as errors:
                refused = True
                self._say("; ".join(str(error) for error in errors.exceptions))
            if refused:
                await asyncio.sleep(_BUILD_AGAIN_SECONDS)

    def _lose(self) -> None:
        self._message = "the holder has gone; the pod is built anew"
        if self._proxy is not None:
            self._proxy.lost()
        self._preparation.lost()
        for container in self._containers:
            container.lost()
        self._publish()

    async def _build(self, session: Session) -> None:
        spec = pod_spec(self.pod, self._machine.settings)
        try:
            [session.pods[self.name]] = await session.client.add_pods([spec])
        except RemoteError as error:
            if error.code == "exists" and self.name in session.pods:
                # Built by a former agent to another specification: the next attempt finds it gone.
                await session.client.remove_pod(self.name)
                session.forget(self.name)
            raise
        self._say("")

    async def _life(self, session: Session) -> None:
        for container in self._programs:
            container.recall(session)
        if self._over():  # a former agent saw to it: there is nothing to build
            await self._clear_up(session)
            return
        async with asyncio.TaskGroup() as tasks:
            proxying: asyncio.Task[None] | None = None
            async with self._machine.starts:
                await self._build(session)
                if self._proxy is not None:
                    proxying = tasks.create_task(self._proxy.run(session))
                    # One Envoy that cannot start must not keep the others from starting.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._machine.settings.ready_timeout / 1000):
                            await self._proxy.ready.wait()
            if self._proxy is not None:
                await self._proxy.ready.wait()
            self._ended.clear()
            helpers = [tasks.create_task(self._refresh_volumes()), *([proxying] if proxying is not None else [])]
            await self._preparation.run(session, tasks)
            for container in self._containers if self._preparation.done else ():
                tasks.create_task(container.run(session))
            # Waited for here: what fails while the block is being left leaves a cancellation behind (Python 3.11),
            # and the next `timeout` in this task would take it for its own.
            await asyncio.wait([tasks.create_task(self._finish(session, helpers))])

    async def _finish(self, session: Session, helpers: Sequence["asyncio.Task[None]"]) -> None:
        """When every application has ended for good, so does what was there for them."""
        if not self._over():
            await self._ended.wait()
        for helper in helpers:
            helper.cancel()
        await self._clear_up(session)

    async def _clear_up(self, session: Session) -> None:
        await self._preparation.finish(session, self.pod.template.termination_grace)
        if self._proxy is not None:
            await self._proxy.finish(session)

    async def _refresh_volumes(self) -> None:
        """What ConfigMaps and Secrets say now reaches running containers, as in Kubernetes."""
        while self.pod.template.volumes:
            await asyncio.sleep(_REFRESH_SECONDS)
            refresh(self._machine, self.pod)

    # ------------------------------------------------------------ end

    async def _leave_endpoints(self) -> None:
        """Until nobody sends here any more, or nobody needs to be told because the whole mesh ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_BARRIER_SECONDS), asyncio.TaskGroup() as tasks:
                barrier = tasks.create_task(self._barrier())
                ends = tasks.create_task(self._mesh_ends.wait())
                await asyncio.wait((barrier, ends), return_when=asyncio.FIRST_COMPLETED)
                barrier.cancel()
                ends.cancel()

    async def _barrier(self) -> None:
        await self._machine.ports.drained(self.pod)

    async def _take_down(self) -> None:
        session = await self._last_session()
        if session is not None:
            # Without a holder nothing of the pod runs any more.
            with suppress(Disconnected):
                await self._end_processes(session)
        if self._proxy is not None:
            await self._proxy.forget()
        if session is not None:
            with suppress(Disconnected, RemoteError):
                await session.client.remove_pod(self.name)
                session.forget(self.name)
        self._memories.forget(self.name)
        if not self._mesh_ends.is_set():
            for name in (PROXY_CONTAINER, *(container.name for container in self._programs)):
                for file in self._machine.log_files(self.pod, name):
                    file.unlink(missing_ok=True)

    async def _last_session(self) -> Session | None:
        """The holder as it is; an agent that has just begun may not have reached it yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._machine.link.session()
        return None

    async def _end_processes(self, session: Session) -> None:
        if self._proxy is not None:
            drain, grace = self._machine.settings.drain_time, self.pod.template.termination_grace
            # A gateway is its own application: what it is told to end has the grace period too.
            longest = drain if self.pod.role is Role.SIDECAR else max(drain, grace)
            await self._proxy.drain(drain / 1000, longest / 1000)
        grace = self.pod.template.termination_grace
        await self._leave(session, grace)
        await end_applications(session, self.name, grace, but=self._preparation.staying)
        await end_applications(session, self.name, grace)
        if self._proxy is not None:
            await self._proxy.end(session)

    async def _leave(self, session: Session, grace: Milliseconds) -> None:
        """All preStop hooks begin now; an application is told to end when its own is done."""
        beside = [each for each in self._preparation.beside if each.has_pre_stop]
        hooked = [each for each in self._containers if each.has_pre_stop]
        if not beside and not hooked:
            return
        async with asyncio.TaskGroup() as tasks:
            for each in beside:
                tasks.create_task(each.leave(session, grace, only_prepare=True))
            for each in hooked:
                tasks.create_task(each.leave(session, grace))
            for each in self._containers:
                if each not in hooked:
                    tasks.create_task(each.leave(session, grace))


async def end_applications(session: Session, pod: ProxyName, grace: Milliseconds, but: Collection[str] = ()) -> None:
    """End every process of a pod but its Envoy and those of the names in `but`."""
    running = [
        process
        for process in session.processes(pod)
        if process.role == "app" and process.exit is None and process.name not in but
    ]
    for process in running:
        await session.terminate(process, signal.SIGTERM)
    if not await session.all_ended_within(running, grace / 1000):
        for process in running:
            await session.terminate(process, signal.SIGKILL, group=True)
        await session.all_ended_within(running, _KILLED_SECONDS)


async def remove_leftover(session: Session, pod: ProxyName, memories: Memories) -> None:
    """End a pod that a former agent ran and that nobody wants any more."""
    memory = memories.read(pod)
    with suppress(Disconnected, RemoteError):
        await end_applications(session, pod, memory.grace if memory else Milliseconds(30_000))
        for process in session.processes(pod):
            await session.terminate(process, signal.SIGTERM)
        await session.client.remove_pod(pod)
        session.forget(pod)
    memories.forget(pod)
