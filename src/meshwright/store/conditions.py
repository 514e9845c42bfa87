"""Conditions that move often become few writes: the newest of each wins while the ones before are being written."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Any

from meshwright.store.names import Author, Key, Owner, Uid
from meshwright.store.store import Store
from meshwright.store.writes import SetCondition

PORTION = 256  # conditions in one transaction, so that other writers get their turn


class ConditionBuffer:
    """One owner's conditions on their way to the store: at most one per object and type, never a queue.

    The first is written at once; what comes within `pause_seconds` after a write goes out with the next one.
    """

    def __init__(self, store: Store, owner: Owner, pause_seconds: float = 0.1) -> None:
        self._store = store
        self._owner = owner
        self._pause = pause_seconds
        self._waiting: dict[tuple[Key, object], SetCondition] = {}
        self._some = asyncio.Event()

    def set(self, key: Key, uid: Uid | None, condition: Mapping[str, Any]) -> None:
        """Say a condition of an object; nothing happens where that one (with this uid) is not there any more."""
        self._waiting[key, condition.get("type")] = SetCondition(key, self._owner, condition, uid, if_exists=True)
        self._some.set()

    async def flush(self) -> None:
        """Write what waits. Raises OwnedError, InvalidError or StorageError; what was not written still waits."""
        while self._waiting:
            portion = dict(islice(self._waiting.items(), PORTION))
            await self._store.transact(portion.values(), Author(self._owner))
            for name, write in portion.items():
                if self._waiting.get(name) is write:
                    del self._waiting[name]
        self._some.clear()

    async def run(self) -> None:
        """Until cancelled. Raises what `flush` raises."""
        while True:
            await self._some.wait()
            await self.flush()
            await asyncio.sleep(self._pause)
