"""The store on disk: writes per second, lists, and events to 500 watchers, in the process and at the object API;
`python -m bench.store`.

The rival is the usual embedded store on the same file system in the same run: one SQLite transaction per write,
straight from a thread pool of one, the object as one JSON column, the event log beside it, everything FULL. It checks
versions and keeps a log, but has no history, no status apart and no group commit.
"""

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from meshwright.agent.settings import Rung
from meshwright.ca.authority import Authority
from meshwright.processes.state import DataDirectory
from meshwright.store.names import Author, Json, Key, Resource
from meshwright.store.query import Query, Scope
from meshwright.store.selectors import parse_selector
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.version import Version
from meshwright.store.watch import Watch
from meshwright.store.writes import Create
from meshwright.wiring.object_api import ApiPlace, ObjectApi

ROUTES = Resource("networking.istio.io", "virtualservices")
ME = Author("bench")
WRITES = 1_600
WATCHERS = 500
EVENTS = 200
ROUNDS = 3


def thing(number: int, step: int = 0) -> Json:
    """About 600 bytes, as a VirtualService has."""
    routes = [
        {"destination": {"host": f"shop-{number}.default.svc.cluster.local", "subset": subset}, "weight": weight}
        for subset, weight in (("v1", 90 - step % 50), ("v2", 10 + step % 50))
    ]
    match = [{"headers": {"end-user": {"exact": "jason"}}, "uri": {"prefix": "/api/v1/products"}}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"shop-{number}", "labels": {"app": f"shop-{number % 20}", "team": "shop"}},
        "spec": {"hosts": [f"shop-{number}"], "http": [{"name": "main", "match": match, "route": routes}]},
    }


def key(number: int) -> Key:
    return Key(ROUTES, "default", f"shop-{number}")


class Naive:
    """One transaction and one wait for the disk per write."""

    def __init__(self, folder: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(folder / "naive.db", isolation_level=None, check_same_thread=False)
        for sql in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE objects (name TEXT PRIMARY KEY, revision INTEGER, text TEXT)",
            "CREATE TABLE log (revision INTEGER PRIMARY KEY, name TEXT, text TEXT)",
        ):
            self._connection.execute(sql)

    async def put(self, name: str, value: Json) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._put, name, value)

    def _put(self, name: str, value: Json) -> None:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        revision = (run("SELECT max(revision) FROM log").fetchone()[0] or 0) + 1
        run("SELECT revision FROM objects WHERE name = ?", (name,)).fetchone()
        text = json.dumps(value)
        run("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (name, revision, text))
        run("INSERT INTO log VALUES (?, ?, ?)", (revision, name, text))
        run("COMMIT")

    async def list(self) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._list)

    def _list(self) -> int:
        rows = self._connection.execute("SELECT text FROM objects ORDER BY name").fetchall()
        return len(json.dumps({"items": [json.loads(row[0]) for row in rows]}))

    def close(self) -> None:
        self._thread.shutdown()
        self._connection.close()


async def per_second(write: Callable[[int, int], Awaitable[object]], writers: int) -> float:
    """Writes per second of so many writers, each on objects of its own."""
    each = WRITES // writers

    async def work(writer: int) -> None:
        for step in range(each):
            await write(writer, step)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for writer in range(writers):
            tasks.create_task(work(writer))
    return writers * each / (time.perf_counter() - start)


async def writes(folder: Path) -> None:
    naive = Naive(folder)
    store = await Store.open(SqliteEngine(folder / "writes"), system_sources())
    await store.transact([Create(key(number), thing(number)) for number in range(64)], ME)

    async def ours(writer: int, step: int) -> None:
        await store.update(key(writer), thing(writer, step), ME)

    async def theirs(writer: int, step: int) -> None:
        await naive.put(f"shop-{writer}", thing(writer, step))

    for writers in (1, 16, 64):
        rounds = [(await per_second(theirs, writers), await per_second(ours, writers)) for _ in range(ROUNDS)]
        base, mine = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{writers:3} writers   naive {base:7.0f}/s   store {mine:7.0f}/s   {mine / base:5.2f} x")
    naive.close()
    await store.close()


async def lists(folder: Path) -> None:
    naive = Naive(folder)
    store = await Store.open(SqliteEngine(folder / "lists"), system_sources())
    there = 0
    for count in (1_000, 10_000):
        await store.transact([Create(key(number), thing(number)) for number in range(there, count)], ME)
        for number in range(there, count):
            naive._put(f"shop-{number}", thing(number))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        there = count

        async def whole() -> int:
            page = await store.list(Query(Scope(ROUTES)))
            return len(b",".join(item.json() for item in page.items))

        async def selected() -> int:
            return len((await store.list(Query(Scope(ROUTES, None, parse_selector("app=shop-7"))))).items)

        async def paged() -> int:
            page = await store.list(Query(Scope(ROUTES), limit=500))
            while page.token:
                page = await store.list(Query(Scope(ROUTES), limit=500, token=page.token))
            return len(page.items)

        base = await milliseconds(naive.list)
        print(f"{count} objects: naive list to JSON text {base:.1f} ms")
        for name, question in (("list to JSON text", whole), ("1 label in 20", selected), ("pages of 500", paged)):
            took = await milliseconds(question)
            print(f"{count} objects: store {name:18} {took:6.1f} ms   {took / base:.2f} x naive list")
    naive.close()
    await store.close()


async def milliseconds(question: Callable[[], Awaitable[int]]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await question()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


async def fan_out(folder: Path) -> None:
    """500 watchers of one kind, each making the event's JSON text: from a queue of its own, and from the store."""
    store = await Store.open(SqliteEngine(folder / "watch"), system_sources())
    await store.create(key(0), thing(0), ME)
    alone = await without_watchers(store)
    for name, one_round in (("a queue each", through_queues), ("store", through_watches)):
        rounds = [await one_round(store) for _ in range(ROUNDS)]
        cpu, late = (statistics.median(column) for column in zip(*rounds, strict=True))
        each = (cpu - alone) * 1000 / WATCHERS
        print(
            f"{WATCHERS} watchers, {name:12} {cpu:5.2f} ms CPU per event, {each:4.1f} us per watcher; "
            f"from the write to the last watcher {late:4.1f} ms"
        )
    print(f"a write without watchers  {alone:5.2f} ms CPU")
    await store.close()


async def without_watchers(store: Store) -> float:
    cpu = time.process_time()
    for step in range(EVENTS):
        await store.update(key(0), thing(0, step + 1), ME)
    return (time.process_time() - cpu) * 1000 / EVENTS


class Arrivals:
    """Counts who has an event, and says when all have."""

    def __init__(self) -> None:
        self._missing = WATCHERS
        self.all = asyncio.Event()

    def one(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._missing = WATCHERS
            self.all.set()

    async def everywhere(self) -> None:
        await self.all.wait()
        self.all.clear()


async def written(store: Store, arrivals: Arrivals, tell: Callable[[Version], None]) -> tuple[float, float]:
    """Writes one after the other, each when all have the one before: CPU and passed milliseconds of one."""
    cpu, start = time.process_time(), time.perf_counter()
    for step in range(EVENTS):
        tell(await store.update(key(0), thing(0, step + 1), ME))
        await arrivals.everywhere()
    passed = (time.perf_counter() - start) * 1000 / EVENTS
    return (time.process_time() - cpu) * 1000 / EVENTS, passed


async def through_watches(store: Store) -> tuple[float, float]:
    arrivals = Arrivals()

    async def read(watch: Watch) -> None:
        for _ in range(EVENTS):
            for event in await watch.batch():
                event.version.json()
                arrivals.one()

    watches = [await store.watch(Scope(ROUTES)) for _ in range(WATCHERS)]
    async with asyncio.TaskGroup() as tasks:
        for watch in watches:
            tasks.create_task(read(watch))
        await asyncio.sleep(0)
        return await written(store, arrivals, lambda _version: None)


async def through_queues(store: Store) -> tuple[float, float]:
    arrivals = Arrivals()
    queues: list[asyncio.Queue[Version]] = [asyncio.Queue() for _ in range(WATCHERS)]

    async def read(queue: "asyncio.Queue[Version]") -> None:
        for _ in range(EVENTS):
            (await queue.get()).json()
            arrivals.one()

    def tell(version: Version) -> None:
        for queue in queues:
            queue.put_nowait(version)

    async with asyncio.TaskGroup() as tasks:
        for queue in queues:
            tasks.create_task(read(queue))
        await asyncio.sleep(0)
        return await written(store, arrivals, tell)


async def over_https(folder: Path) -> None:
    """500 watchers of one kind at the object API, over TLS and from another process, as clients of Kubernetes do."""
    store = await Store.open(SqliteEngine(folder / "api"), system_sources())
    await store.create(key(0), thing(0), ME)
    place = ApiPlace(DataDirectory(folder), 0, Authority.open(folder / "ca", "cluster.local", now()), Rung.ROOT, now)
    api = ObjectApi(store, place)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(api.run())
        cpu, late = await to_watchers(store, folder / "kubeconfig")
        serving.cancel()
    print(
        f"{WATCHERS} watchers over HTTPS  {cpu:5.2f} ms CPU of the server per event, "
        f"{cpu * 1000 / WATCHERS:4.1f} us per watcher; from the write to the last watcher {late:4.1f} ms"
    )
    await store.close()


async def to_watchers(store: Store, kubeconfig: Path) -> tuple[float, float]:
    """Writes one after the other, each when all watchers have the one before: as `written`, CPU of this process."""
    path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices"
    words = (sys.executable, "-m", "bench._watchers", str(kubeconfig), path, str(WATCHERS))
    watchers = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert watchers.stdout is not None
    try:
        assert await watchers.stdout.readline() == b"ready\n"
        cpu, start = time.process_time(), time.perf_counter()
        for step in range(EVENTS):
            await store.update(key(0), thing(0, step + 1), ME)
            assert await watchers.stdout.readline() == b"%d\n" % (step + 1)
        passed = (time.perf_counter() - start) * 1000 / EVENTS
        return (time.process_time() - cpu) * 1000 / EVENTS, passed
    finally:
        watchers.kill()
        await watchers.wait()


def now() -> datetime:
    return datetime.now(UTC)


async def run() -> None:
    with tempfile.TemporaryDirectory(prefix="mw-bench-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        for number, part in enumerate((writes, lists, fan_out, over_https)):
            place = folder / str(number)
            place.mkdir()
            await part(place)


def main() -> int:
    uvloop.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
