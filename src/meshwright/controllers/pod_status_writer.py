"""Statuses of pods on their way to the store: only differences are written, and the newest of each pod wins."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from meshwright.controllers.decision import Happening
from meshwright.controllers.events import event_key, event_writes
from meshwright.controllers.pod_status import COMPONENT, Report, happenings, kubernetes_status, with_sidecars
from meshwright.controllers.resources import PODS
from meshwright.controllers.values import condition, same
from meshwright.controllers.world import Clock, Object
from meshwright.store.errors import ConflictError, NotFoundError, StorageError, StoreError
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid, of_controller
from meshwright.store.store import Store
from meshwright.store.writes import Delete, Update, UpdateStatus, Write

log = logging.getLogger(__name__)
OWNER = Owner(COMPONENT)
PAUSE_SECONDS = 0.05
_PORTION = 64  # pods in one transaction
_ATTEMPTS = 5
_OWN_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


@dataclass(frozen=True, slots=True)
class _Said:
    report: Report
    uid: str | None


class PodStatusWriter:
    """Say statuses with `set` and ends with `finish`, at any time; `run` writes them. Of each pod at most one of
    either waits. `uid` None: whichever pod has the name.
    """

    def __init__(self, store: Store, clock: Clock, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._pause = pause_seconds
        self._said: dict[Key, _Said] = {}
        self._gone: dict[Key, str | None] = {}
        self._some = asyncio.Event()

    def set(self, namespace: str, name: str, report: Report, uid: str | None = None) -> None:
        """How a pod is doing. Nothing happens where it is not there, or is another one than `uid`."""
        self._said[Key(PODS, namespace, name)] = _Said(report, uid)
        self._some.set()

    def finish(self, namespace: str, name: str, uid: str | None = None) -> None:
        """The pod has ended: if it is marked for deletion, it is removed from the store for good."""
        key = Key(PODS, namespace, name)
        self._gone[key] = uid
        self._said.pop(key, None)
        self._some.set()

    async def run(self) -> None:
        """Until cancelled. Raises StorageError."""
        while True:
            await self._some.wait()
            await self.flush()
            await asyncio.sleep(self._pause)

    async def flush(self) -> None:
        """Write all that waits, ends first. Raises StorageError; what was not written still waits."""
        while self._gone:
            gone = dict(islice(self._gone.items(), _PORTION))
            await self._finish(gone)
            for key, uid in gone.items():
                if key in self._gone and self._gone[key] == uid:
                    del self._gone[key]
        while self._said:
            said = dict(islice(self._said.items(), _PORTION))
            await self._write(said)
            for key, report in said.items():
                if self._said.get(key) is report:
                    del self._said[key]
        if not self._gone:
            self._some.clear()

    async def _finish(self, gone: dict[Key, str | None]) -> None:
        for key, uid in gone.items():
            pod = await self._pod(key, uid)
            if pod is None or not pod.leaving:
                continue
            with suppress(NotFoundError, ConflictError):  # it went by itself
                await self._store.transact((Delete(key, uid=Uid(pod.uid)),), of_controller(OWNER))

    async def _write(self, portion: dict[Key, _Said], attempts: int = _ATTEMPTS) -> None:
        try:
            writes: list[Write] = []
            told: list[Happening] = []
            for key, said in portion.items():
                pod = await self._pod(key, said.uid)
                if pod is not None:
                    self._step(pod, said.report, writes, told)
            writes += await self._events(told)
            if writes:
                await self._store.transact(writes, of_controller(OWNER))
        except StorageError:
            raise
        except StoreError as error:
            if len(portion) == 1 and attempts == 1:
                log.warning("the status of %s is not written: %s", next(iter(portion)), error)
                return
            for key, said in portion.items():  # something moved meanwhile: look again
                await self._write({key: said}, attempts - 1)

    async def _pod(self, key: Key, uid: str | None) -> Object | None:
        version = await self._store.find(key)
        return Object.of(version) if version is not None and uid in (None, version.uid) else None

    def _step(self, pod: Object, report: Report, writes: list[Write], told: list[Happening]) -> None:
        injected = with_sidecars(pod, report.status)
        if injected is not None and not pod.leaving:
            writes.append(Update(pod.key, injected, pod.revision))
        status = kubernetes_status(pod, report, self._clock())
        if not same(status, _own_part(pod.value)):
            writes.append(UpdateStatus(pod.key, status, OWNER, uid=Uid(pod.uid)))
            told += happenings(pod, status, report)

    async def _events(self, told: list[Happening]) -> list[Write]:
        known: dict[Key, Object] = {}
        for each in told:
            key = event_key(each)
            version = await self._store.find(key)
            if version is not None:
                known[key] = Object.of(version)
        return event_writes(known.get, told, EpochMilliseconds(self._clock()))


def _own_part(value: Json) -> Json:
    found = [condition(value, kind) for kind in _OWN_CONDITIONS]
    return {**(value.get("status") or {}), "conditions": [each for each in found if each]}
