"""All controllers over one store: a picture of the world, and decisions until nothing follows from it any more.

One loop does it all. After each transaction it waits until the world shows it, so no decision is made without the
results of those before. It holds nothing that is not in the store: started anew at any point it goes on.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from meshwright.controllers.decision import Controller, Decision, earlier
from meshwright.controllers.deployments import Deployments
from meshwright.controllers.endpoints import EndpointSlices
from meshwright.controllers.events import Events, event_writes
from meshwright.controllers.garbage import Garbage
from meshwright.controllers.machine import MachineFacts, machine_facts
from meshwright.controllers.namespaces import Namespaces
from meshwright.controllers.nodes import Nodes, Scheduler
from meshwright.controllers.replica_sets import ReplicaSets
from meshwright.controllers.resources import EVENTS, NAMESPACES
from meshwright.controllers.stateful_sets import StatefulSets
from meshwright.controllers.world import Clock, Object, World
from meshwright.store.errors import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    NotFoundError,
    StorageError,
    StoreError,
)
from meshwright.store.names import EpochMilliseconds, Key, Revision, of_controller
from meshwright.store.query import Query, Scope
from meshwright.store.store import Store
from meshwright.store.watch import Watch

log = logging.getLogger(__name__)
_PAGE = 500
_TOGETHER = 64  # decisions in one transaction
_MOST_STEPS = 10_000  # in one go, then whoever asked may look after other things
_LONGEST_RETRY_SECONDS = 60
_LONGEST_SLEEP_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """`namespaces` exist always; `facts` None: of the machine it runs on."""

    node_name: str = ""
    namespaces: tuple[str, ...] = ("default", "kube-system", "istio-system")
    facts: MachineFacts | None = None


@dataclass(slots=True)
class _Worker:
    """One controller: what it has to look at, when to look again, and how often in a row a key has failed."""

    controller: Controller
    dirty: set[Key] = field(default_factory=set[Key])
    wakes: dict[Key, EpochMilliseconds] = field(default_factory=dict[Key, EpochMilliseconds])
    failures: dict[Key, int] = field(default_factory=dict[Key, int])

    def take(self) -> list[Key]:
        keys = sorted(self.dirty)[:_TOGETHER]
        self.dirty.difference_update(keys)
        return keys


class Controllers:
    """`run` it, or `settle` step by step. One per store."""

    def __init__(self, store: Store, clock: Clock, settings: ControllerSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._workers = [_Worker(each) for each in standard_controllers(settings or ControllerSettings())]
        self._world = World()
        self._watch: Watch | None = None

    async def run(self) -> None:
        """Until cancelled. Raises StorageError."""
        while True:
            try:
                await self._follow()
            except GoneError:
                self._watch = None  # so far behind that the store has forgotten what comes next: begin anew

    async def _follow(self) -> None:
        while True:
            wake = await self.settle()
            assert self._watch is not None, "settle has opened it"
            delay = _LONGEST_SLEEP_SECONDS if wake is None else max(0.0, (wake - self._clock()) / 1000)
            try:
                async with asyncio.timeout(min(delay, _LONGEST_SLEEP_SECONDS)):
                    await self._absorb()
            except TimeoutError:
                continue

    async def settle(self) -> EpochMilliseconds | None:
        """Decide and write until nothing is left to do now; when there will be something even if nothing changes.

        Raises GoneError (call again: it begins anew) or StorageError.
        """
        try:
            await self.catch_up()
            for _ in range(_MOST_STEPS):
                self._wake()
                if not await self.step():
                    return self._next_wake()
                await asyncio.sleep(0)  # decisions without writes wait for nothing: others get their turn
        except GoneError:
            self._watch = None
            raise
        return self._clock()

    def _next_wake(self) -> EpochMilliseconds | None:
        wake: EpochMilliseconds | None = None
        for worker in self._workers:
            for moment in worker.wakes.values():
                wake = earlier(wake, moment)
        return wake

    async def catch_up(self) -> None:
        """See the world as it is now. Raises GoneError."""
        if self._watch is None:
            await self._begin()
        await self._reach((await self._store.head()).revision)

    async def step(self) -> bool:
        """One transaction of the first controller that has something to look at; whether there was one."""
        for worker in self._workers:
            keys = worker.take()
            if keys:
                await self._work(worker, keys)
                return True
        return False

    # ------------------------------------------------------------ the world

    async def _begin(self) -> None:
        """Read everything, and look at everything."""
        world = World()
        token: str | None = None
        while True:
            page = await self._store.list(Query(Scope(), _PAGE, token))
            for item in page.items:
                world.put(Object.of(item))
            world.revision, token = page.revision, page.token
            if token is None:
                break
        self._world = world
        self._watch = await self._store.watch(Scope(), world.revision)
        for worker in self._workers:
            worker.dirty = set(worker.controller.standing)
            worker.wakes.clear()
            worker.failures.clear()
            for thing in world.everything():
                worker.dirty |= worker.controller.concerns(world, thing)

    async def _absorb(self) -> None:
        """Take the next events; at least one comes."""
        assert self._watch is not None, "begin comes first"
        for event in await self._watch.batch():
            for thing in self._world.apply(event):
                if thing is not None:
                    for worker in self._workers:
                        worker.dirty |= worker.controller.concerns(self._world, thing)

    async def _reach(self, revision: Revision) -> None:
        while self._world.revision < revision:
            await self._absorb()

    def _wake(self) -> None:
        now = self._clock()
        for worker in self._workers:
            due = [key for key, moment in worker.wakes.items() if moment <= now]
            for key in due:
                del worker.wakes[key]
            worker.dirty.update(due)

    # ------------------------------------------------------------ decisions

    async def _work(self, worker: _Worker, keys: Sequence[Key]) -> None:
        """Decide about some objects and write it all at once; where that fails, one by one."""
        decided = [(key, self._decide(worker, key)) for key in keys]
        active = [(key, decision) for key, decision in decided if decision is not None and _does(decision)]
        if not active:
            return
        try:
            await self._write(worker, [decision for _, decision in active])
        except (GoneError, StorageError):
            raise
        except StoreError as error:
            if len(active) == 1:
                await self._failed(worker, active[0][0], error)
                return
            for key, _ in active:
                await self._work(worker, (key,))
        else:
            for key, _ in active:
                worker.failures.pop(key, None)

    def _decide(self, worker: _Worker, key: Key) -> Decision | None:
        try:
            decision = worker.controller.decide(self._world, key, self._clock())
        except Exception:  # one object that we cannot cope with must not stop all others
            log.exception("controller %s cannot decide about %s", worker.controller.name, key)
            self._retry_later(worker, key)
            return None
        if decision.again is not None:
            worker.wakes[key] = decision.again
        else:
            worker.wakes.pop(key, None)
        return decision

    async def _write(self, worker: _Worker, decisions: Sequence[Decision]) -> None:
        happenings = [each for decision in decisions for each in decision.happenings if self._may_tell(each.about)]
        events = event_writes(self._world.get, happenings, self._clock())
        writes = [*(write for decision in decisions for write in decision.writes), *events]
        committed = await self._store.transact(writes, of_controller(worker.controller.name))
        await self._reach(committed.revision)

    def _may_tell(self, about: Object) -> bool:
        """A namespace that goes takes no new Events."""
        place = self._world.get(Key(NAMESPACES, "", about.namespace))
        return about.key.resource != EVENTS and (place is None or not place.leaving)

    async def _failed(self, worker: _Worker, key: Key, error: StoreError) -> None:
        """A conflict means that there is news; anything else is tried again later, and less and less often."""
        if isinstance(error, ConflictError | NotFoundError | AlreadyExistsError):
            before = self._world.revision
            await self.catch_up()
            if self._world.revision != before:
                worker.dirty.add(key)
                return
        log.warning("controller %s: %s: %s", worker.controller.name, key, error)
        self._retry_later(worker, key)

    def _retry_later(self, worker: _Worker, key: Key) -> None:
        times = worker.failures[key] = worker.failures.get(key, 0) + 1
        delay = min(_LONGEST_RETRY_SECONDS, 2 ** min(times - 1, 6))
        worker.wakes[key] = EpochMilliseconds(self._clock() + delay * 1000)


def _does(decision: Decision) -> bool:
    return bool(decision.writes or decision.happenings)


def standard_controllers(settings: ControllerSettings) -> tuple[Controller, ...]:
    """In the order in which they get their turn: first what others build on."""
    facts = settings.facts or machine_facts()
    node_name = settings.node_name or facts.hostname
    return (
        Namespaces(settings.namespaces),
        Nodes(node_name, facts, version("meshwright")),
        Garbage(),
        Deployments(),
        ReplicaSets(),
        StatefulSets(),
        Scheduler(node_name),
        EndpointSlices(),
        Events(),
    )
