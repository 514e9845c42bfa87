"""Whatever writers and watchers do, in any order: who watches knows what a list says; each step once and in order."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from meshwright.store.engine import Engine
from meshwright.store.errors import GoneError, StoreError
from meshwright.store.limits import Limits
from meshwright.store.names import Key, Owner, Revision
from meshwright.store.query import Page, Query, Scope
from meshwright.store.selectors import parse_selector
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.version import Event, Version
from meshwright.store.watch import Watch
from meshwright.store.writes import Create, Delete, SetCondition, Update, Write
from tests.store.memory import MemoryEngine
from tests.store.objects import ANNA, ROUTES, SERVICES, Chance, key, replay, value

KEYS = [key(name, space, kind) for kind in (ROUTES, SERVICES) for space in ("one", "two") for name in "abc"]
LABELS = st.sampled_from(({}, {"app": "x"}, {"app": "y"}))
SCOPES = [
    Scope(),
    Scope(ROUTES),
    Scope(ROUTES, "one"),
    Scope(None, "two"),
    Scope(ROUTES, None, parse_selector("app=x")),
    Scope(None, None, parse_selector("app!=x")),
    Scope(ROUTES, "one", parse_selector(fields="metadata.name=a")),
]


@st.composite
def a_write(draw: st.DrawFn) -> Write:
    at = draw(st.sampled_from(KEYS))
    match draw(st.sampled_from(("create", "update", "update", "status", "delete"))):
        case "create":
            return Create(at, value(draw(st.integers(0, 2)), draw(LABELS)))
        case "update":
            return Update(at, value(draw(st.integers(0, 2)), draw(LABELS)))
        case "status":
            said = {"type": "T", "status": draw(st.sampled_from(("True", "False")))}
            return SetCondition(at, Owner("o"), said, if_exists=True)
        case _:
            return Delete(at)


WRITES = a_write()
LIMITS = Limits(events=12, window_events=4, window_bytes=2_000)


@dataclass
class Client:
    """Lists, then watches, and lists again when it is told that it was away for too long."""

    scope: Scope
    watch: Watch
    objects: dict[Key, Version] = field(default_factory=dict[Key, Version])
    seen: int = 0

    @classmethod
    async def start(cls, store: Store, scope: Scope) -> "Client":
        page = await store.list(Query(scope))
        return cls(scope, await store.watch(scope, page.revision), of(page), page.revision)

    async def read(self, store: Store, limit: int) -> bool:
        """One batch, if there is any; whether there was."""
        try:
            async with asyncio.timeout(0.005):
                events = await self.watch.batch(limit)
        except TimeoutError:
            return False
        except GoneError:
            again = await Client.start(store, self.scope)
            self.watch, self.objects, self.seen = again.watch, again.objects, again.seen
            return True
        self._take(events)
        return True

    async def catch_up(self, store: Store, newest: Revision) -> None:
        while self.watch.revision < newest:
            try:
                async with asyncio.timeout(0.02):
                    self._take(await self.watch.batch())
            except TimeoutError:
                continue
            except GoneError:
                await self.read(store, 1)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.version.revision > self.seen
            self.seen = event.version.revision
        replay(self.objects, events)


@dataclass
class Reading:
    """A list that is being read in pages, and what it must come to."""

    scope: Scope
    whole: list[Version]
    revision: Revision
    items: list[Version] = field(default_factory=list[Version])
    token: str | None = None


def of(page: Page) -> dict[Key, Version]:
    return {item.key: item for item in page.items}


class Interleavings(RuleBasedStateMachine):
    """Writers, watchers, lists in pages, and forgetting, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner: asyncio.Runner  # made when it is opened, which does not always happen
        self.clients: list[Client] = []
        self.readings: list[Reading] = []
        self.opened: Store | None = None

    @property
    def store(self) -> Store:
        assert self.opened is not None
        return self.opened

    def engine(self) -> Engine:
        return MemoryEngine()

    @initialize(there=st.lists(st.sampled_from(KEYS), unique=True, min_size=3))
    def open(self, there: list[Key]) -> None:
        self.runner = asyncio.Runner()
        self.opened = self.runner.run(Store.open(self.engine(), Chance().sources(), LIMITS))
        self.runner.run(self.opened.transact([Create(at, value(0)) for at in there], ANNA))

    @rule(writes=st.lists(WRITES, min_size=1, max_size=3))
    def write(self, writes: list[Write]) -> None:
        async def step() -> None:
            before = await self.store.list(Query(Scope()))
            try:
                done = await self.store.transact(writes, ANNA)
            except StoreError:
                assert await self.store.list(Query(Scope())) == before, "refused, but something was written"
            else:
                assert done.revision >= before.revision

        self.runner.run(step())

    @rule(crowd=st.lists(WRITES, min_size=2, max_size=6))
    def write_at_once(self, crowd: list[Write]) -> None:
        async def one(write: Write) -> None:
            try:
                done = await self.store.transact([write], ANNA)
            except StoreError:
                return
            version = done.written[0].version
            assert version is None or version.revision <= done.revision

        async def step() -> None:
            async with asyncio.TaskGroup() as tasks:
                for write in crowd:
                    tasks.create_task(one(write))

        self.runner.run(step())

    @rule(scope=st.sampled_from(SCOPES))
    def join(self, scope: Scope) -> None:
        self.clients.append(self.runner.run(Client.start(self.store, scope)))

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5), limit=st.integers(1, 3))
    def read_some(self, number: int, limit: int) -> None:
        self.runner.run(self.clients[number % len(self.clients)].read(self.store, limit))

    @rule(scope=st.sampled_from(SCOPES))
    def begin_list(self, scope: Scope) -> None:
        page = self.runner.run(self.store.list(Query(scope, 1)))
        whole = self.runner.run(self.store.list(Query(scope)))
        self._read_page(Reading(scope, list(whole.items), whole.revision), page)

    @precondition(lambda self: self.readings)
    @rule(limit=st.integers(1, 4), number=st.integers(0, 5))
    def continue_list(self, limit: int, number: int) -> None:
        reading = self.readings.pop(number % len(self.readings))
        try:
            page = self.runner.run(self.store.list(Query(reading.scope, limit, reading.token)))
        except GoneError:
            return
        self._read_page(reading, page)

    def _read_page(self, reading: "Reading", page: Page) -> None:
        assert page.revision == reading.revision
        reading.items += page.items
        reading.token = page.token
        if page.token is None:
            assert reading.items == reading.whole
        else:
            assert reading.items == reading.whole[: len(reading.items)]
            self.readings.append(reading)

    def teardown(self) -> None:
        if self.opened is None:
            return
        try:
            self.runner.run(self._end())
        finally:
            self.runner.run(self.store.close())
            self.runner.close()

    async def _end(self) -> None:
        newest = (await self.store.head()).revision
        for client in self.clients:
            await client.catch_up(self.store, newest)
            assert client.objects == of(await self.store.list(Query(client.scope)))


class InterleavingsOnDisk(Interleavings):
    """The same on SQLite, where readers and the writer are threads."""

    folder: Path | None = None

    def engine(self) -> Engine:
        self.folder = Path(tempfile.mkdtemp(prefix="mw-store-"))
        return SqliteEngine(self.folder)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if self.folder is not None:
                shutil.rmtree(self.folder)


TestInMemory = Interleavings.TestCase
TestInMemory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestOnDisk = InterleavingsOnDisk.TestCase
TestOnDisk.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
