"""A cell that always holds the newest value; who is slow skips to it, and never queues."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One writer, many readers, no history: the back-pressure of a control plane."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._changed: asyncio.Event | None = None  # made when somebody waits: most changes nobody waits for

    @property
    def value(self) -> T:
        """The newest value."""
        return self._value

    def set(self, value: T) -> None:
        """Replace the value and wake every reader that waits; call it in the event loop's thread."""
        self._value = value
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def newer_than(self, seen: T) -> T:
        """The value, as soon as it is another object than `seen`; steps in between are skipped."""
        while self._value is seen:
            if self._changed is None:
                self._changed = asyncio.Event()
            await self._changed.wait()
        return self._value
