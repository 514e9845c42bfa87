"""What the tests of the store share."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from meshwright.store.store import Store
from meshwright.store.watch import Watch
from tests.store.objects import told

Opened = Callable[..., AbstractAsyncContextManager[Store]]


async def ready(watch: Watch) -> list[tuple[str, str]]:
    """What a watch gives without waiting for more."""
    found: list[tuple[str, str]] = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                found += told(await watch.batch())
        except TimeoutError:
            return found
