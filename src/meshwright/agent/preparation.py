"""Init containers: one after the other, each to its end, before the applications; those that stay go on beside them.

The pod's Envoy is ready before the first of them starts, as where Istio runs it as a native sidecar: they are
intercepted and may use the mesh.
"""

import asyncio
from collections.abc import Callable

from meshwright.agent.container import FAILED, ContainerRunner, Part
from meshwright.agent.holder_link import Session
from meshwright.agent.machine import Machine
from meshwright.agent.pod_memory import PodMemory
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import PlannedPod


class Preparation:
    """`runners` in the order in which they start; `done` when the applications may."""

    def __init__(
        self, machine: Machine, pod: PlannedPod, changed: Callable[[], None], memory: PodMemory | None
    ) -> None:
        self._changed = changed
        self._parts = tuple(Part.BESIDE if each.stays else Part.BEFORE for each in pod.template.init_containers)
        self.runners = tuple(
            ContainerRunner(machine, pod, each, changed, memory.container(each.name) if memory else None, part)
            for each, part in zip(pod.template.init_containers, self._parts, strict=True)
        )
        self.done = not self.runners
        self._beside: list[asyncio.Task[None]] = []

    @property
    def failed(self) -> bool:
        """Whether one of them has failed for good, so that the applications never start."""
        return any(runner.status.reason == FAILED for runner in self._of(Part.BEFORE))

    @property
    def staying(self) -> tuple[str, ...]:
        """The names of those that run beside the applications."""
        return tuple(runner.name for runner in self.beside)

    @property
    def beside(self) -> tuple[ContainerRunner, ...]:
        """Those that run beside the applications."""
        return self._of(Part.BESIDE)

    async def run(self, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Until all have done what they are for, or one has failed for good; those that stay become `tasks`."""
        self._beside.clear()
        for runner, part in zip(self.runners, self._parts, strict=True):
            if part is Part.BEFORE:
                await runner.run(session)
                if runner.status.reason == FAILED:
                    return
            else:
                self._beside.append(tasks.create_task(runner.run(session)))
                await runner.started.wait()
        self.done = True
        self._changed()

    def lost(self) -> None:
        """The holder has gone, and all of them with it; they run once more."""
        self.done = not self.runners
        for runner in self.runners:
            runner.lost()

    async def finish(self, session: Session, grace: Milliseconds) -> None:
        """The applications have ended for good: those that stay end, the last one first."""
        for task in self._beside:
            task.cancel()
        for runner in reversed(self._of(Part.BESIDE)):
            await runner.end(session, grace)

    def _of(self, part: Part) -> tuple[ContainerRunner, ...]:
        return tuple(runner for runner, each in zip(self.runners, self._parts, strict=True) if each is part)
