"""`apply` while statuses move under it."""

import asyncio

import pytest

from meshwright.store.errors import ConflictError
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key, Owner, Resource
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.store.version import Version
from meshwright.wiring.applying import Outcome, apply, take_back, until_alone
from tests.store.memory import MemoryEngine

ME = Author("test")
KEY = Key(Resource("networking.istio.io", "virtualservices"), "default", "reviews")
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{timeout: %ds, route: [{destination: {host: reviews}}]}]}
"""


class Restless(Store):
    """A store in which a status is written after each of the first reads of an object."""

    moves = 3

    async def find(self, key: Key) -> Version | None:
        found = await super().find(key)
        if self.moves and found is not None:
            self.moves -= 1
            condition = {"type": "Live", "status": "True", "message": str(self.moves)}
            await self.set_condition(key, Owner("other"), condition)
        return found


def test_apply_is_not_stopped_by_a_status_that_moves() -> None:
    async def main() -> None:
        store = await Restless.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)
        done = await apply(store, [("x", RULE % 2)], ME, dry_run=False)
        assert [action for _, action in done.actions] == ["configured"]
        assert (await store.get(KEY)).value()["spec"]["http"][0]["timeout"] == "2s"
        await store.close()

    asyncio.run(main())


def test_undo_is_not_stopped_by_a_status_that_moves() -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)
        done = await apply(store, [("x", RULE % 2)], ME, dry_run=False)
        assert done.change is not None
        attempts: list[int] = []

        async def attempt() -> Outcome:
            assert done.change is not None
            back = await store.revert([done.change])
            attempts.append(1)
            if len(attempts) < 3:
                condition = {"type": "Live", "status": "True", "message": str(len(attempts))}
                await store.set_condition(KEY, Owner("other"), condition)
            return await take_back(store, back.writes, ME, "undo", dry_run=False)

        await until_alone(attempt)
        assert len(attempts) == 3
        assert (await store.get(KEY)).value()["spec"]["http"][0]["timeout"] == "1s"
        await store.close()

    asyncio.run(main())


def test_somebody_who_never_stops_is_told_in_the_end() -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)

        async def attempt() -> Outcome:
            raise ConflictError(KEY, await store.get(KEY), "it was changed since")

        with pytest.raises(ConflictError):
            await until_alone(attempt)
        await store.close()

    asyncio.run(main())
