"""The agent: brings the pods of one machine to what is desired and says how they are doing."""

import asyncio
import contextlib
from collections.abc import Mapping

from meshwright.agent.control import Control
from meshwright.agent.holder_link import HolderLink, Session
from meshwright.agent.machine import Machine
from meshwright.agent.pod import PodRunner, remove_leftover
from meshwright.agent.pod_memory import Memories
from meshwright.agent.ports import AgentPorts
from meshwright.agent.replacement import fingerprint, steps
from meshwright.agent.settings import AgentSettings
from meshwright.agent.tables import Tables
from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState, PodStatus
from meshwright.model.proxy import Role
from meshwright.processes.holder_client import Disconnected, HolderClient, Inventory
from meshwright.processes.state import DataDirectory

_HOLDER_SECONDS = 10.0
_HOLDER_PAUSE_SECONDS = 0.05


class Agent:
    """`desired` is read, `statuses` is written: every pod that exists, leaving ones included."""

    def __init__(self, settings: AgentSettings, ports: AgentPorts, desired: Latest[DesiredState]) -> None:
        self.desired = desired
        self.statuses: Latest[Mapping[ProxyName, PodStatus]] = Latest({})
        self._settings = settings
        self._ports = ports
        self._wake = asyncio.Event()
        self._ending = False
        self._ended = asyncio.Event()
        self._runners: dict[ProxyName, PodRunner] = {}
        self._leftovers: set[ProxyName] = set()
        machine = self._machine = Machine(
            settings=settings,
            ports=ports,
            link=HolderLink(DataDirectory(settings.data_dir).holder_socket),
            starts=asyncio.Semaphore(settings.parallel_starts),
            clock=ports.clock,
        )
        self._memories = Memories(machine.memory_folder)
        self._tables = Tables(settings, machine.link, desired, self._wake.set)
        self._control = Control(machine, lambda: self.statuses.value, self._tables, self._begin_end)

    async def adopt(self) -> None:
        """Look what a former agent left running. Call it once, when `desired` is set and before the first compile.

        Afterwards `statuses` says which of the desired pods serve already: the first endpoints that are published
        must hold them, or every proxy would lose its destinations for a moment.
        """
        inventory = await self._inventory()
        if inventory is None:
            return
        there = {ProxyName(pod.pod) for pod in inventory.pods}
        for pod in self.desired.value.pods:
            memory = self._memories.read(pod.name)
            if pod.name in there and memory is not None and memory.fingerprint == fingerprint(pod):
                self._runners[pod.name] = PodRunner(self._machine, pod, self._changed, memory)
        self._leftovers = there - self._runners.keys()
        for name in self._memories.names() - there:
            self._memories.forget(name)
        self._changed()

    async def _inventory(self) -> Inventory | None:
        """What the holder has; None when none answers for a while (then there is nothing to adopt either)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLDER_SECONDS):
                while True:
                    try:
                        async with HolderClient.session(self._machine.link.path) as client:
                            return await client.list()
                    except Disconnected:
                        await asyncio.sleep(_HOLDER_PAUSE_SECONDS)
        return None

    async def run(self) -> None:
        """Until `stop`. When it is cancelled instead, the pods go on running and a later agent adopts them."""
        self._settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as tasks:
            services = [
                tasks.create_task(self._machine.link.run()),
                tasks.create_task(self._tables.run()),
                tasks.create_task(self._control.serve()),
                tasks.create_task(self._watch_desired()),
                tasks.create_task(self._clear_leftovers()),
            ]
            for runner in self._runners.values():
                tasks.create_task(self._keep(runner))
            await self._reconcile(tasks)
            await self._tables.clear()
            for service in services:
                service.cancel()
        self._ended.set()

    def is_stopped(self, pod: ProxyName) -> bool:
        """Whether the pod's Envoy is a stopped process, which does nothing until it is let go on."""
        runner = self._runners.get(pod)
        return runner is not None and runner.proxy_stopped

    async def stop(self) -> None:
        """End everything in order: gateways, then the other pods. Returns when `run` has returned."""
        self._begin_end()
        await self._ended.wait()

    def _begin_end(self) -> None:
        self._ending = True
        self._wake.set()

    def _changed(self) -> None:
        self.statuses.set({name: runner.status for name, runner in self._runners.items()})
        self._wake.set()

    async def _watch_desired(self) -> None:
        seen = self.desired.value
        while True:
            seen = await self.desired.newer_than(seen)
            self._wake.set()

    # ------------------------------------------------------------ pods

    async def _reconcile(self, tasks: asyncio.TaskGroup) -> None:
        """Start and stop pods until the mesh ends and none is left."""
        while not (self._ending and not self._runners and not self._leftovers):
            if self._ending:
                self._end_some()
            else:
                self._bring_about(tasks)
            await self._wake.wait()
            self._wake.clear()

    def _bring_about(self, tasks: asyncio.TaskGroup) -> None:
        running = {name: runner.pod for name, runner in self._runners.items() if not runner.stopping}
        ready = {name for name, runner in self._runners.items() if runner.status.ready}
        plan = steps(self.desired.value.pods, running, ready)
        for name in plan.stop:
            if not self._tables.misleads_to(name):  # when they do not any more, we are woken
                self._runners[name].request_stop()
        for pod in plan.update:
            self._runners[pod.name].update(pod)
        for pod in plan.start:
            # A pod of that name that is still leaving has the address; its end wakes us again.
            if pod.name not in self._runners and pod.name not in self._leftovers:
                runner = self._runners[pod.name] = PodRunner(self._machine, pod, self._changed)
                tasks.create_task(self._keep(runner))
                self._changed()

    def _end_some(self) -> None:
        """Gateways first: as long as they serve, the pods behind them are needed."""
        gateways = [runner for runner in self._runners.values() if runner.pod.role is Role.ROUTER]
        for runner in gateways or self._runners.values():
            runner.request_stop(mesh_ends=True)

    async def _keep(self, runner: PodRunner) -> None:
        await runner.run()
        del self._runners[runner.name]
        self._changed()

    async def _clear_leftovers(self) -> None:
        """End what a former agent ran and nobody has adopted."""
        session = await self._machine.link.session()
        async with asyncio.TaskGroup() as tasks:
            for name in tuple(self._leftovers):
                tasks.create_task(self._clear(session, name))

    async def _clear(self, session: Session, name: ProxyName) -> None:
        await remove_leftover(session, name, self._memories)
        self._leftovers.discard(name)
        self._wake.set()
