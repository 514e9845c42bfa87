"""The store's file: its mode, its lock, what is in it after a restart, and what happens when it cannot be used."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from meshwright.store import migrate
from meshwright.store.engine import Ledger
from meshwright.store.errors import StorageError
from meshwright.store.history import whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.names import EpochMilliseconds, Owner, Revision, Uid
from meshwright.store.query import Query, Scope
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.version import Body, Event, EventType, Version
from tests.store.objects import ANNA, Chance, key, meta, spec, told, value


async def opened(folder: Path) -> Store:
    return await Store.open(SqliteEngine(folder), Chance().sources())


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path / "a" / "store")
        await store.create(key(), value(), ANNA)
        folder = tmp_path / "a" / "store"
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes == dict.fromkeys(("objects.db", "objects.db-wal", "objects.db-shm", "lock"), 0o600)
        assert folder.stat().st_mode & 0o777 == 0o700
        await store.close()

    asyncio.run(scenario())


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        made = await store.create(key(), value(labels={"app": "a"}), ANNA, "first")
        await store.set_condition(key(), Owner("me"), {"type": "Live", "status": "True"})
        await store.update(key(), value(2), ANNA, message="second")
        before = (await store.get(key()), await store.changes(), await store.head())
        await store.close()
        store = await opened(tmp_path)
        assert (await store.get(key()), await store.changes(), await store.head()) == before
        watch = await store.watch(Scope(), made.revision)
        assert told(await watch.batch()) == [("MODIFIED", "a"), ("MODIFIED", "a")]
        after = await store.update(key(), value(3), ANNA)
        assert (after.revision, meta(after)["generation"]) == (4, 3)
        assert [event.version for event in await watch.batch()] == [after]
        assert (await store.get(key())).status == before[0].status
        await store.close()

    asyncio.run(scenario())


def test_one_process_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        second = SqliteEngine(tmp_path)
        with pytest.raises(StorageError, match="in use"):
            await Store.open(second, Chance().sources())
        await second.close()
        await store.create(key(), value(), ANNA)
        await store.close()
        third = await opened(tmp_path)
        await third.close()

    asyncio.run(scenario())


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    async def scenario(folder: Path, words: str) -> None:
        engine = SqliteEngine(folder)
        with pytest.raises(StorageError, match=words):
            await Store.open(engine, Chance().sources())
        await engine.close()

    damaged, newer, blocked = tmp_path / "damaged", tmp_path / "newer", tmp_path / "blocked"
    for folder in (damaged, newer):
        folder.mkdir()
    (damaged / "objects.db").write_bytes(b"no database" * 1000)
    connection = sqlite3.connect(newer / "objects.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    blocked.write_text("a file where the folder should be")
    asyncio.run(scenario(damaged, "cannot be opened"))
    asyncio.run(scenario(newer, "version 99"))
    asyncio.run(scenario(blocked, "cannot be opened"))


def test_migrations_are_numbered_without_a_gap_and_run_once() -> None:
    numbers = list(migrate.steps())
    assert numbers == list(range(1, len(numbers) + 1))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate.migrate(connection)
    migrate.migrate(connection)
    assert connection.execute("PRAGMA user_version").fetchone() == (numbers[-1],)
    connection.close()


def test_a_step_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = {**migrate.steps(), 2: "CREATE TABLE half (a); INSERT INTO nowhere VALUES (1);"}
    monkeypatch.setattr(migrate, "steps", lambda: sql)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate.migrate(connection)
    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    connection.close()


class Blocked:
    """A job that holds the writer until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, _ledger: Ledger) -> None:
        self.begun.set()
        assert self.go.wait(20)


def writer_connection(engine: SqliteEngine) -> sqlite3.Connection:
    assert engine._writer is not None  # pyright: ignore[reportPrivateUsage]
    return engine._writer._connection  # pyright: ignore[reportPrivateUsage]


def test_writers_that_wait_share_one_commit(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        store = await Store.open(engine, Chance().sources())
        connection = writer_connection(engine)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        blocked = Blocked()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.write(blocked))
            await asyncio.to_thread(blocked.begun.wait)
            made = [tasks.create_task(store.create(key(str(number)), value(), ANNA)) for number in range(50)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in made)
            blocked.go.set()
        connection.set_trace_callback(None)
        commits = [statement for statement in statements if statement == "COMMIT"]
        assert len(commits) <= 3, "the blocker's, the group's and the upkeep's"
        assert len((await store.list(Query(Scope()))).items) == 50
        await store.close()

    asyncio.run(scenario())


def test_what_waits_when_it_closes_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        store = await Store.open(engine, Chance().sources())
        blocked = Blocked()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.write(blocked))
            await asyncio.to_thread(blocked.begun.wait)
            tasks.create_task(store.create(key(), value(), ANNA))
            await asyncio.sleep(0)
            closing = tasks.create_task(store.close())
            await asyncio.sleep(0)
            blocked.go.set()
            await closing
        again = await opened(tmp_path)
        assert spec(await again.get(key())) == 1
        await again.close()

    asyncio.run(scenario())


def test_a_writer_that_was_cancelled_disturbs_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        store = await Store.open(engine, Chance().sources())
        blocked = Blocked()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.write(blocked))
            await asyncio.to_thread(blocked.begun.wait)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await store.create(key("a"), value(), ANNA)
            blocked.go.set()
        assert (await store.create(key("b"), value(), ANNA)).revision == 2, "a was written all the same"
        await store.close()

    asyncio.run(scenario())


def test_a_full_disk_is_said_and_nothing_is_half_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        store = await Store.open(engine, Chance().sources())
        await store.create(key("a"), value(), ANNA)
        watch = await store.watch(Scope())
        connection = writer_connection(engine)
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError, match="full"):
            await store.create(key("b"), value("x" * 100_000), ANNA)
        assert (await store.head()).revision == 1
        assert spec(await store.get(key("a"))) == 1
        connection.execute("PRAGMA max_page_count = 1000000")
        assert (await store.create(key("b"), value(), ANNA)).revision == 2
        assert told(await watch.batch()) == [("ADDED", "b")]
        await store.close()

    asyncio.run(scenario())


class Failing:
    """Always due."""

    def due(self, revision: Revision) -> bool:
        return revision > 0

    def keep(self, ledger: Ledger) -> None:
        ledger.compact(Revision(1))
        raise ZeroDivisionError


def test_an_upkeep_that_fails_is_reported_and_writing_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))

        def published(_events: Sequence[Event]) -> None:
            """Nobody watches."""

        await engine.start(published, Failing())
        store = Store(engine, Chance().sources(), Limits(), whole_meaning)
        for name in "ab":
            await store.create(key(name), value(), ANNA)
        await engine.close()
        await asyncio.sleep(0)
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError] * 2

    asyncio.run(scenario())


def test_a_job_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = SqliteEngine(tmp_path)
        store = await Store.open(engine, Chance().sources())
        watch = await store.watch(Scope())
        made = Version(key("half"), Revision(2), Uid("u"), Body(Revision(2), b'{"metadata":{}}', {}))

        def half(ledger: Ledger) -> None:
            ledger.append([Event(EventType.ADDED, made, None, EpochMilliseconds(0))], None)
            assert ledger.find(key("half")) == made
            raise ZeroDivisionError

        blocked = Blocked()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.write(blocked))
            await asyncio.to_thread(blocked.begun.wait)
            before = tasks.create_task(store.create(key("a"), value(), ANNA))
            bad = tasks.create_task(fails(engine, half))
            after = tasks.create_task(store.create(key("b"), value(), ANNA))
            await asyncio.sleep(0)
            blocked.go.set()
        assert bad.result()
        assert (before.result().revision, after.result().revision) == (1, 2)
        assert await store.find(key("half")) is None
        assert told(await watch.batch()) == [("ADDED", "a"), ("ADDED", "b")]
        await store.close()

    asyncio.run(scenario())


async def fails(engine: SqliteEngine, job: Callable[[Ledger], None]) -> bool:
    try:
        await engine.write(job)
    except ZeroDivisionError:
        return True
    return False


def test_what_is_forgotten_leaves_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await Store.open(SqliteEngine(tmp_path), Chance().sources(), Limits(events=10, changes=3))
        await store.create(key("kept"), value("kept"), ANNA)
        await store.set_condition(key("kept"), Owner("me"), {"type": "Live", "status": "True"})
        for number in range(50):
            await store.create(key("b"), value(number), ANNA)
            await store.update_status(key("b"), {"n": number}, Owner("me"))
            await store.delete(key("b"), ANNA)
        await store.compact()
        reader = sqlite3.connect(tmp_path / "objects.db")
        counts = {
            table: reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("versions", "bodies", "statuses", "changes", "differences")
        }
        reader.close()
        # ten events, what the first of them replaced, and the object that is kept
        assert counts == {"versions": 12, "bodies": 5, "statuses": 5, "changes": 3, "differences": 3}
        assert (await store.get(key("kept"))).value()["status"]["conditions"][0]["type"] == "Live"
        await store.close()

    asyncio.run(scenario())
