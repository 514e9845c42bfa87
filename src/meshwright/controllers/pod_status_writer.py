"""Statuses of pods on their way to the store: only differences are written, and the newest of each pod wins."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from meshwright.controllers.decision import Happening
from meshwright.controllers.events import counted_write, event_key, event_writes
from meshwright.controllers.pod_status import (
    COMPONENT,
    Report,
    happenings,
    kubernetes_status,
    occurrences,
    with_sidecars,
)
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


@dataclass(frozen=True, slots=True)
class _Gone:
    uid: str | None
    last: Report | None


class PodStatusWriter:
    """Say statuses with `set` and ends with `finish`, at any time; `run` writes them. Of each pod at most one of
    either waits. `uid` None: whichever pod has the name.
    """

    def __init__(self, store: Store, clock: Clock, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._pause = pause_seconds
        self._said: dict[Key, _Said] = {}
        self._gone: dict[Key, _Gone] = {}
        self._some = asyncio.Event()

    def set(self, namespace: str, name: str, report: Report, uid: str | None = None) -> None:
        """How a pod is doing. Nothing happens where it is not there, or is another one than `uid`."""
        self._said[Key(PODS, namespace, name)] = _Said(report, uid)
        self._some.set()

    def finish(self, namespace: str, name: str, uid: str | None = None) -> None:
        """The pod has ended: if it is marked for deletion, it is removed from the store for good."""
        key = Key(PODS, namespace, name)
        waiting, before = self._said.pop(key, None), self._gone.get(key)
        last = waiting.report if waiting is not None and waiting.uid in (None, uid) else None
        self._gone[key] = _Gone(uid, last or (before.last if before is not None and before.uid == uid else None))
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
            for key, each in gone.items():
                if self._gone.get(key) is each:
                    del self._gone[key]
        while self._said:
            said = dict(islice(self._said.items(), _PORTION))
            await self._write(said)
            for key, report in said.items():
                if self._said.get(key) is report:
                    del self._said[key]
        if not self._gone:
            self._some.clear()

    async def _finish(self, gone: dict[Key, _Gone]) -> None:
        for key, each in gone.items():
            pod = await self._pod(key, each.uid)
            if pod is None or not pod.leaving:
                continue
            if each.last is not None:
                await self._tell_last(pod, each.last)
            with suppress(NotFoundError, ConflictError):  # it went by itself
                await self._store.transact((Delete(key, uid=Uid(pod.uid)),), of_controller(OWNER))

    async def _tell_last(self, pod: Object, report: Report) -> None:
        """What nobody could write before the pod had gone; that it went does not depend on it."""
        try:
            writes = await self._counted(pod, report)
            if writes:
                await self._store.transact(writes, of_controller(OWNER))
        except StorageError:
            raise
        except StoreError as error:
            log.warning("the last Events of %s are not written: %s", pod.key, error)

    async def _write(self, portion: dict[Key, _Said], attempts: int = _ATTEMPTS) -> None:
        try:
            writes: list[Write] = []
            told: list[Happening] = []
            for key, said in portion.items():
                pod = await self._pod(key, said.uid)
                if pod is not None:
                    self._step(pod, said.report, writes, told)
                    writes += await self._counted(pod, said.report)
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

    async def _counted(self, pod: Object, report: Report) -> list[Write]:
        """What the machine counts, where it has moved."""
        writes: list[Write] = []
        for happening, count in occurrences(pod, report):
            version = await self._store.find(event_key(happening))
            before = None if version is None else Object.of(version)
            write = counted_write(before, happening, count, EpochMilliseconds(self._clock()))
            writes += [] if write is None else [write]
        return writes


def _own_part(value: Json) -> Json:
    found = [condition(value, kind) for kind in _OWN_CONDITIONS]
    return {**(value.get("status") or {}), "conditions": [each for each in found if each]}
