"""A cell that always holds the newest value; who is slow skips to it, and never queues."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One writer, many readers, no history. For use within one event loop."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed = asyncio.Event()

    def set(self, value: T) -> None:
        """Make `value` the newest and wake everybody who waits."""
        self.value = value
        self._changed.set()
        self._changed = asyncio.Event()

    async def newer_than(self, seen: T) -> T:
        """The newest value as soon as it is another object than `seen`."""
        while self.value is seen:
            await self._changed.wait()
        return self.value
