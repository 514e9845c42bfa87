"""One container of a running pod: started, probed, and started again when it ends."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from meshwright.agent import probes
from meshwright.agent.back_off import Restarts
from meshwright.agent.holder_link import Session
from meshwright.agent.hooks import before_end, carry_out
from meshwright.agent.machine import Machine
from meshwright.agent.occurrences import Occurrences
from meshwright.agent.probes import ProbeCount, Prober, Verdict
from meshwright.agent.program import Program, Waiting, finder, named_folders, program
from meshwright.agent.volumes import mounts_of
from meshwright.model import image
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import ContainerStatus, PlannedPod
from meshwright.model.pod import Container, Hook, Probe, RestartPolicy
from meshwright.processes.children import Exit
from meshwright.processes.holder_client import Disconnected, ProcessInfo, RemoteError, SpawnSpec, execute
from meshwright.processes.messages import MountSpec

_LOOK_AGAIN_SECONDS = 1.0
_FIRST_READY_SECONDS = 0.2
_PORT_WAIT_SECONDS = 10.0
_OUTPUT_LIMIT = 4096
CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"
RUNNING = "Running"
CRASH_LOOP = "CrashLoopBackOff"
COMPLETED, FAILED = "Completed", "Error"


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """What a restarted agent has to know of a container that went on running. `begun`: its postStart hook, if it has
    one, has been carried out.
    """

    ready: bool = False
    restarts: int = 0
    begun: bool = True


class Part(StrEnum):
    """What a container is for its pod."""

    APPLICATION = "application"
    BEFORE = "before"  # an init container: it is to end
    BESIDE = "beside"  # an init container that stays


class ContainerRunner:
    """`status` is how it is doing; `changed` is called whenever that is another value than before. `started` is set
    when it has been started successfully (its startup probe has passed, if it has one).
    """

    def __init__(
        self, machine: Machine, pod: PlannedPod, container: Container, changed: Callable[[], None],
        memory: ContainerMemory | None = None, part: Part = Part.APPLICATION,
    ) -> None:  # fmt: skip
        self._machine = machine
        self._pod = pod
        self._container = container
        self._changed = changed
        self._memory = memory
        self._restarts = Restarts(memory.restarts if memory else 0)
        self._program: Program | None = None
        self._mounts: tuple[MountSpec, ...] = ()
        self._part = part
        self._occurrences = Occurrences(machine.clock)
        self.started = asyncio.Event()
        self.status = ContainerStatus(
            container.name, ready=memory.ready if memory else False, restarts=self._restarts.count, reason=CREATING
        )

    @property
    def name(self) -> str:
        return self._container.name

    @property
    def memory(self) -> ContainerMemory:
        adopted = self._memory  # until it is looked at, what was known before still holds
        begun = self.status.reason == RUNNING or (adopted is not None and adopted.begun)
        return ContainerMemory(self.status.ready, self.status.restarts, begun)

    @property
    def has_pre_stop(self) -> bool:
        return self._container.pre_stop is not None

    def update(self, pod: PlannedPod) -> None:
        """The pod's plan has changed in a way that needs no restart."""
        self._pod = pod

    def lost(self) -> None:
        """The holder has gone, and the container with it."""
        self.started.clear()
        self._set(ready=False, reason=CREATING, pid=None)

    async def run(self, session: Session) -> None:
        """Keep the container running for as long as the session lives, or until it is over."""
        found = session.process(self._pod.name, self.name)
        ended = found.exit if found is not None else None
        while ended is None or not self._is_last(ended):
            process, started = await self._process(session)
            ended = await self._watch(session, process)
            if not self._is_last(ended):
                await self._wait_after(ended, Milliseconds(self._machine.clock() - started))
        self._end(ended)

    def recall(self, session: Session) -> None:
        """Note its end if it ended for good while nobody watched."""
        found = session.process(self._pod.name, self.name)
        if found is not None and found.exit is not None and self._is_last(found.exit):
            self._end(found.exit)

    async def end(self, session: Session, grace: Milliseconds) -> None:
        """End it for good, because all that it was there for has ended. `run` must not run any more."""
        process = session.process(self._pod.name, self.name)
        if process is None:
            return
        if process.exit is None:
            await end(session, process, await self._prepare_end(session, process, grace))
        self._end(await session.exit_of(process))

    async def leave(self, session: Session, grace: Milliseconds, *, only_prepare: bool = False) -> None:
        """Carry out its preStop hook, then end it (not with `only_prepare`), because the pod leaves. `run` must not
        run any more.
        """
        process = session.process(self._pod.name, self.name)
        if process is None or process.exit is not None:
            return
        with suppress(Disconnected):  # then nothing runs any more
            left = await self._prepare_end(session, process, grace)
            if not only_prepare:
                await end(session, process, left)

    def _end(self, ended: Exit) -> None:
        code = ended.shell_code
        message = "" if code == 0 else f"ended with exit code {code}"
        reason = COMPLETED if code == 0 else FAILED
        ready = code == 0 and self._part is Part.BEFORE  # it has done what it was for
        self._set(ready=ready, reason=reason, message=message, pid=None, exit_code=code)

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.status.reason in (COMPLETED, FAILED)

    def _is_last(self, ended: Exit) -> bool:
        """Whether a container that ended so is left as it is: by the pod's restartPolicy, but an init container that
        is to end is started again until it succeeds (unless the policy is `Never`), and one that stays always is.
        """
        policy = self._pod.template.restart_policy
        if policy is RestartPolicy.ALWAYS and self._part is Part.BEFORE:
            policy = RestartPolicy.ON_FAILURE
        elif self._part is Part.BESIDE:
            policy = RestartPolicy.ALWAYS
        return policy is RestartPolicy.NEVER or (policy is RestartPolicy.ON_FAILURE and ended.shell_code == 0)

    def _set(self, **values: object) -> None:
        status = replace(self.status, **values)  # pyright: ignore[reportArgumentType] - names are checked by replace
        if status != self.status:
            self._say(status)

    def _say(self, status: ContainerStatus) -> None:
        self.status = replace(status, told=self._occurrences.take())
        self._changed()

    def _tell(self, reason: str, topic: str, message: str, *, warning: bool = True) -> None:
        """Something that people should hear of; the same soon again is only counted."""
        if self._occurrences.add(reason, topic, message, warning=warning):
            self._say(self.status)

    def _unhealthy(self, probe: str, verdict: Verdict) -> None:
        self._tell("Unhealthy", probe, f"{probe.capitalize()} probe failed: {verdict.message}")

    async def _process(self, session: Session) -> tuple[ProcessInfo, Milliseconds]:
        """The running process, started or found, and since when."""
        memory, self._memory = self._memory, None
        found = session.process(self._pod.name, self.name)
        adopted = found is not None and found.exit is None
        while True:
            planned = self._plan()
            if isinstance(planned, Program):
                self._program = planned
            if found is not None and adopted:
                self._show(found, begun=memory is None or memory.begun, ready=memory.ready if memory else False)
                return found, self._machine.clock()
            if isinstance(planned, Waiting):
                self._set(reason=planned.reason, message=planned.message, ready=False, pid=None)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            try:
                process = await session.spawn(self._spawn(planned))
            except RemoteError as error:
                await self._wait_after(error, Milliseconds(0))
                continue
            self._show(process, begun=False)
            return process, self._machine.clock()

    def _show(self, process: ProcessInfo, *, begun: bool, ready: bool = False) -> None:
        """It runs; for others it does so only when its postStart hook has been carried out."""
        if begun or self._post_start is None:
            self._set(reason=RUNNING, message="", pid=process.pid, ready=ready)
        else:
            self._set(reason=CREATING, message="", pid=None, ready=False)

    @property
    def _post_start(self) -> Hook | None:
        return None if self._part is Part.BEFORE else self._container.post_start

    def _plan(self) -> Program | Waiting:
        """What to start, with its volumes made."""
        planned = program(self._container, self._pod, self._machine.settings, self._machine.references)
        if isinstance(planned, Waiting):
            return planned
        mounts = mounts_of(self._machine, self._pod, self._container)
        if isinstance(mounts, Waiting):
            return mounts
        self._mounts = mounts
        return planned

    def _spawn(self, planned: Program) -> SpawnSpec:
        return SpawnSpec(
            pod=self._pod.name,
            name=self.name,
            argv=planned.argv,
            output=str(self._machine.log_file(self._pod, self.name)),
            env=dict(planned.env),
            cwd=planned.cwd,
            expose=named_folders(planned.argv),
            mounts=self._mounts,
        )

    async def _wait_after(self, ended: Exit | RemoteError, ran: Milliseconds) -> None:
        """Show why it ended, then wait for the next start."""
        self._restarts, wait = self._restarts.after_exit(ran, self._machine.settings.back_off)
        if isinstance(ended, RemoteError):
            why, code = str(ended), None
        else:
            code = ended.shell_code
            why = "completed" if code == 0 else f"ended with exit code {code}"
        text = f"{why}; restarted after {wait / 1000:g} s"
        self._set(
            ready=False, restarts=self._restarts.count, reason=CRASH_LOOP, message=text, pid=None, exit_code=code
        )
        await asyncio.sleep(wait / 1000)

    async def _watch(self, session: Session, process: ProcessInfo) -> Exit:
        """Probe the process until it ends."""
        async with asyncio.TaskGroup() as tasks:
            probing = tasks.create_task(self._probe(session, process))
            ended = await session.exit_of(process)
            probing.cancel()
        return ended

    async def _probe(self, session: Session, process: ProcessInfo) -> None:
        if self._part is Part.BEFORE:
            return  # it is ready when it has ended
        prober = self._prober(session)
        failure = await self._begin(process, prober)
        if failure is not None:
            self._tell("FailedPostStartHook", "", f"PostStartHook failed: {failure.message}")
            await self._kill(session, process, "postStart hook", failure)
            return
        startup, liveness = self._container.startup, self._container.liveness
        failure = None if self.status.ready else await self._until_started(prober, startup)
        if failure is not None:
            await self._kill(session, process, "startup probe", failure)
            return
        self.started.set()
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._keep_ready(prober))
            if liveness is not None:
                failure = await self._until_dead(prober, liveness)
                asking.cancel()  # what is about to be ended does not become ready any more
        if failure is not None:
            await self._kill(session, process, "liveness probe", failure)

    async def _begin(self, process: ProcessInfo, prober: Prober) -> Verdict | None:
        """Carry out the postStart hook where that is still to be done; what went wrong, None when all is well."""
        hook = self._post_start
        if hook is None or self.status.reason == RUNNING:
            return None
        verdict = await carry_out(hook, prober, self._container)
        if not verdict.success:
            return verdict
        self._show(process, begun=True)
        return None

    def _prober(self, session: Session) -> Prober:
        async def open_socket() -> socket.socket:
            return await session.client.socket(self._pod.name)

        address = self._machine.settings.application_address(self._pod.address)
        return Prober(address, open_socket, self._execute)

    async def _until_started(self, prober: Prober, probe: Probe | None) -> Verdict | None:
        """None when the startup probe (if any) has succeeded, its last answer when it has failed too often."""
        if probe is None:
            return None
        await asyncio.sleep(probe.initial_delay / 1000)
        failures = 0
        while True:
            verdict = await prober.ask(probe, self._container)
            if verdict.success:
                return None
            failures += 1
            self._unhealthy("startup", verdict)
            if failures >= probe.failure_threshold:
                return verdict
            await asyncio.sleep(probe.period / 1000)

    async def _keep_ready(self, prober: Prober) -> None:
        """Without a readiness probe a container is ready when its ports answer, or after a while all the same."""
        probe = self._container.readiness
        if probe is None:
            if not self.status.ready:
                await self._until_listening(prober)
            self._set(ready=True)
            return
        count = ProbeCount(passing=self.status.ready)
        if not count.passing:
            await asyncio.sleep(probe.initial_delay / 1000)
        seen_ready, clock = count.passing, asyncio.get_running_loop().time
        period = probe.period / 1000
        due = clock() + period
        while True:
            verdict = await prober.ask(probe, self._container)
            if not verdict.success and (seen_ready or clock() >= due):
                self._unhealthy("readiness", verdict)
            count = count.after(success=verdict.success, probe=probe)
            message = "" if count.passing else f"readiness probe failed: {verdict.message}"
            self._set(ready=count.passing, message=message)
            seen_ready = seen_ready or count.passing
            # Until it is ready for the first time, failures mean nothing new: asking more often only helps. They are
            # told as often as its period would meet them.
            if clock() >= due:
                due = clock() + period
            await asyncio.sleep(period if seen_ready else min(period, _FIRST_READY_SECONDS))

    async def _until_listening(self, prober: Prober) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PORT_WAIT_SECONDS):
                for port in self._container.ports:
                    ask = probes.tcp_probe(port.number)
                    while not (await prober.ask(ask, self._container)).success:
                        await asyncio.sleep(_FIRST_READY_SECONDS / 4)

    async def _until_dead(self, prober: Prober, probe: Probe) -> Verdict:
        """The answer with which the liveness probe has failed often enough."""
        await asyncio.sleep(probe.initial_delay / 1000)
        count = ProbeCount(passing=True)
        while True:
            verdict = await prober.ask(probe, self._container)
            count = count.after(success=verdict.success, probe=probe)
            if not verdict.success:
                self._unhealthy("liveness", verdict)
            if not count.passing:
                return verdict
            await asyncio.sleep(probe.period / 1000)

    async def _kill(self, session: Session, process: ProcessInfo, what: str, failure: Verdict) -> None:
        """End it because a probe or its postStart hook has failed."""
        self._occurrences.add(
            "Killing", what, f"Container {self.name} failed {what}, will be restarted", warning=False
        )
        self._set(ready=False, message=f"{what} failed: {failure.message}")
        grace = self._pod.template.termination_grace
        await end(session, process, await self._prepare_end(session, process, grace))

    async def _prepare_end(self, session: Session, process: ProcessInfo, grace: Milliseconds) -> Milliseconds:
        """Carry out the preStop hook, if there is one and any time for it; what is left of `grace`."""
        hook = self._container.pre_stop
        if hook is None or grace == 0:
            return grace
        running = (session, process)
        verdict, left = await before_end(hook, self._prober(session), self._container, running, grace)
        if not verdict.success:
            self._tell("FailedPreStopHook", "", f"PreStopHook failed: {verdict.message}")
        return left

    async def _execute(self, command: tuple[str, ...]) -> tuple[int, str]:
        """Run a command as the application would, among its files; exit code and the end of its output."""
        settings = self._machine.settings
        planned = self._program or program(self._container, self._pod, settings, self._machine.references)
        if isinstance(planned, Waiting):  # a former agent has started it
            return os.EX_CONFIG, planned.message
        entry = self._machine.ports.catalogue(self._container.image)
        argv = image.resolve_program(entry, command, python=settings.python, exists=finder(planned.env))
        spec = SpawnSpec(
            pod=self._pod.name,
            name="probe",
            argv=argv,
            env=dict(planned.env),
            cwd=planned.cwd,
            join=self.name,
        )
        null, said = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), os.memfd_create("output")
        try:
            code = await execute(self._machine.link.path, spec, (null, said, said))
            return code, os.pread(said, _OUTPUT_LIMIT, 0).decode("utf-8", "replace").strip()
        except RemoteError as error:
            return 126, str(error)
        finally:
            os.close(null)
            os.close(said)


async def end(session: Session, process: ProcessInfo, grace: Milliseconds) -> None:
    """SIGTERM, and SIGKILL to its whole group when it has not ended within `grace`."""
    await session.terminate(process, signal.SIGTERM)
    if not await session.ended_within(process, grace / 1000):
        await session.terminate(process, signal.SIGKILL, group=True)
        await session.exit_of(process)
