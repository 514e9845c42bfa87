"""Scenes that need a store and nothing else of a mesh."""

import asyncio
from collections.abc import Awaitable, Callable

from meshwright.store.limits import Limits
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from tests.store.memory import MemoryEngine


def in_store(scene: Callable[[Store], Awaitable[None]]) -> None:
    """Play a scene on an empty store in memory."""

    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await scene(store)
        await store.close()

    asyncio.run(main())
