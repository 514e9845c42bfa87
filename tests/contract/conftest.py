"""Each test of the store runs on every engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshwright.store.history import Meaning, whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from tests.contract.stores import Opened
from tests.store.memory import MemoryEngine
from tests.store.objects import Chance

HANG = 20


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_store(
        chance: Chance | None = None, limits: Limits | None = None, meaning: Meaning = whole_meaning
    ) -> AsyncGenerator[Store]:
        engine = SqliteEngine(tmp_path / "store") if request.param == "sqlite" else MemoryEngine()
        store = await Store.open(engine, (chance or Chance()).sources(), limits, meaning)
        try:
            async with asyncio.timeout(HANG):
                yield store
        finally:
            await store.close()

    return open_store
