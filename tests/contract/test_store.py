"""What every store does, on whatever it keeps its records."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from meshwright.store.errors import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    InvalidError,
    NotFoundError,
    OwnedError,
)
from meshwright.store.history import Meaning, whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.memory import MemoryEngine
from meshwright.store.names import ChangeNumber, Json, Key, Owner, Revision, Uid
from meshwright.store.query import Query, Scope
from meshwright.store.selectors import parse_selector
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.version import Event, EventType
from meshwright.store.watch import Watch
from meshwright.store.writes import Create, Delete, RemoveCondition, SetCondition, Update, UpdateStatus, Write
from tests.store.objects import ANNA, NODES, ROUTES, SERVICES, START, Chance, key, meta, spec, told, value

Opened = Callable[..., AbstractAsyncContextManager[Store]]
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


async def ready(watch: Watch) -> list[tuple[str, str]]:
    """What a watch gives without waiting for more."""
    found: list[tuple[str, str]] = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                found += told(await watch.batch())
        except TimeoutError:
            return found


# ---------------------------------------------------------------- objects
def test_create_gives_an_object_what_the_store_keeps(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            sent = value(1, uid="mine", resourceVersion="7", generation=9) | {"status": {"said": "by me"}}
            made = await store.create(key("a"), sent, ANNA)
            assert sent["metadata"]["uid"] == "mine", "what was sent is left alone"
            assert meta(made) == {
                "name": "a",
                "namespace": "default",
                "uid": "uid-1",
                "resourceVersion": "1",
                "generation": 1,
                "creationTimestamp": "2027-01-15T08:00:00Z",
            }
            assert "status" not in made.value()
            assert await store.get(key("a")) == made
            with pytest.raises(AlreadyExistsError) as refused:
                await store.create(key("a"), value(2), ANNA)
            assert refused.value.current == made
            assert await store.find(key("b")) is None
            with pytest.raises(NotFoundError):
                await store.get(key("b"))

    asyncio.run(scenario())


def test_names_are_generated_and_collisions_tried_again(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(Chance(suffixes=["x", "x", "x", "y"])) as store:
            first = await store.create(key(""), value(generateName="web-"), ANNA)
            second = await store.create(key(""), value(generateName="web-"), ANNA)
            assert (first.key.name, second.key.name) == ("web-x", "web-y")
            assert meta(second)["name"] == "web-y"
            with pytest.raises(InvalidError):
                await store.create(key(""), value(), ANNA)
        async with opened(Chance(suffixes=["x"] * 40)) as store:
            await store.transact([Create(key("full-x"), value())], ANNA)
            with pytest.raises(InvalidError, match="no free name"):
                await store.create(key(""), value(generateName="full-"), ANNA)

    asyncio.run(scenario())


def test_update_is_optimistic_and_counts_generations(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            made = await store.create(key(), value(1), ANNA)
            second = await store.update(key(), value(2), ANNA, made.revision)
            assert (second.revision, meta(second)["generation"], second.uid) == (2, 2, made.uid)
            with pytest.raises(ConflictError) as refused:
                await store.update(key(), value(3), ANNA, made.revision)
            assert refused.value.current == second
            labelled = await store.update(key(), value(2, {"a": "b"}), ANNA)
            assert (labelled.revision, meta(labelled)["generation"]) == (3, 2)
            same = await store.transact([Update(key(), value(2, {"a": "b"}))], ANNA)
            assert (same.revision, same.change, same.written[0].event) == (3, None, None)
            truth = await store.update(key(), value(True, {"a": "b"}), ANNA)  # noqa: FBT003
            one = await store.update(key(), value(1, {"a": "b"}), ANNA)
            assert (meta(truth)["generation"], meta(one)["generation"]) == (3, 4), "true is not 1"
            with pytest.raises(ConflictError, match="uid"):
                await store.transact([Update(key(), value(5), uid=Uid("other"))], ANNA)
            with pytest.raises(NotFoundError):
                await store.update(key("b"), value(), ANNA)
            assert (await store.head()).revision == one.revision, "what was refused takes no revision"

    asyncio.run(scenario())


def test_kinds_without_spec_count_generations_of_everything_else(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            sent: Json = {"kind": "ConfigMap", "metadata": {}, "data": {"a": "1"}}
            await store.create(key(), sent, ANNA)
            noted = await store.update(key(), sent | {"metadata": {"annotations": {"a": "b"}}}, ANNA)
            assert meta(noted)["generation"] == 1
            changed = await store.update(key(), sent | {"data": {"a": "2"}}, ANNA)
            assert meta(changed)["generation"] == 2

    asyncio.run(scenario())


def test_transactions_are_whole_or_nothing(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            done = await store.transact(
                [
                    Create(key("a"), value(1)),
                    Create(key("b"), value(1)),
                    Update(key("a"), value(2)),
                    Delete(key("b")),
                ],
                ANNA,
                "four steps",
            )
            assert (done.revision, done.change) == (4, 1)
            assert [str(item.event) for item in done.written] == ["ADDED", "ADDED", "MODIFIED", "DELETED"]
            with pytest.raises(NotFoundError):
                await store.transact([Update(key("a"), value(3)), Delete(key("zzz"))], ANNA)
            assert spec(await store.get(key("a"))) == 2
            change = await store.change(ChangeNumber(1))
            assert [item.key.name for item in change.differences] == ["a"], "b came and went"
            rehearsed = await store.rehearse([Update(key("a"), value(3))], ANNA)
            assert (rehearsed.revision, rehearsed.change) == (5, 2)
            assert spec(await store.get(key("a"))) == 2

    asyncio.run(scenario())


# ---------------------------------------------------------------- deletion
def test_delete_checks_what_it_is_told(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            made = await store.create(key(), value(), ANNA)
            with pytest.raises(ConflictError):
                await store.delete(key(), ANNA, revision=Revision(99))
            with pytest.raises(ConflictError):
                await store.delete(key(), ANNA, uid=Uid("other"))
            gone = await store.delete(key(), ANNA, made.revision, made.uid)
            assert gone.event is EventType.DELETED
            assert gone.version is not None
            assert meta(gone.version)["resourceVersion"] == "2"
            with pytest.raises(NotFoundError):
                await store.delete(key(), ANNA)
            again = await store.create(key(), value(), ANNA)
            assert again.uid != made.uid

    asyncio.run(scenario())


def test_finalizers_hold_an_object_until_they_are_taken_away(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            watch = await store.watch(Scope())
            await store.create(key(), value(finalizers=["x/one"]), ANNA)
            marked = (await store.transact([Delete(key(), finalizers=("x/two",))], ANNA)).written[0]
            assert marked.event is EventType.MODIFIED
            assert marked.version is not None
            said = meta(marked.version)
            assert said["deletionTimestamp"] == "2027-01-15T08:00:00Z"
            assert (said["finalizers"], said["generation"]) == (["x/one", "x/two"], 2)
            again = await store.delete(key(), ANNA)
            assert again.event is None
            kept = await store.update(key(), value(finalizers=["x/two"], deletionTimestamp=None), ANNA)
            assert meta(kept)["deletionTimestamp"] == said["deletionTimestamp"], "a mark stays"
            last = (await store.transact([Update(key(), value())], ANNA)).written[0]
            assert last.event is EventType.DELETED
            assert await store.find(key()) is None
            assert [kind for kind, _ in await ready(watch)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]

    asyncio.run(scenario())


def test_grace_is_only_ever_shortened_and_then_ended(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.create(key(), value(), ANNA)

            async def delete(seconds: int) -> Json | None:
                done = (await store.transact([Delete(key(), grace_seconds=seconds)], ANNA)).written[0]
                assert done.version is not None
                return None if done.event is EventType.DELETED else meta(done.version)

            first, longer, shorter = await delete(30), await delete(60), await delete(10)
            assert first is not None
            assert first == longer
            assert first["deletionTimestamp"] == "2027-01-15T08:00:30Z"
            assert shorter is not None
            assert (shorter["deletionTimestamp"], shorter["deletionGracePeriodSeconds"]) == (
                "2027-01-15T08:00:10Z",
                10,
            )
            assert await delete(0) is None
            assert await store.find(key()) is None

    asyncio.run(scenario())


# ---------------------------------------------------------------- status
def test_status_moves_versions_but_neither_generations_nor_changes(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            made = await store.create(key(), value(), ANNA)
            watch = await store.watch(Scope(), made.revision)
            said = await store.update_status(key(), {"replicas": 3}, Owner("scaler"))
            assert (said.revision, meta(said)["generation"], said.value()["status"]) == (2, 1, {"replicas": 3})
            assert (await store.update_status(key(), {"replicas": 3}, Owner("scaler"))).revision == 2
            event = (await watch.batch())[0]
            assert (event.type, event.version, event.change) == (EventType.MODIFIED, said, None)
            assert (await store.head()).change == 1
            updated = await store.update(key(), value(2) | {"status": {"replicas": 9}}, ANNA, said.revision)
            assert updated.value()["status"] == {"replicas": 3}, "an update leaves the status alone"
            with pytest.raises(ConflictError):
                await store.update_status(key(), {}, Owner("scaler"), Revision(1))
            gone = (await store.delete(key(), ANNA)).version
            assert gone is not None
            assert gone.value()["status"] == {"replicas": 3}
            assert "status" not in (await store.create(key(), value(), ANNA)).value()

    asyncio.run(scenario())


def test_a_condition_has_one_owner(opened: Opened) -> None:
    async def scenario() -> None:
        chance = Chance()
        async with opened(chance) as store:
            await store.create(key(), value(), ANNA)
            xds, scaler = Owner("xds"), Owner("scaler")
            await store.set_condition(key(), xds, {"type": "Live", "status": "False"})
            with pytest.raises(OwnedError):
                await store.set_condition(key(), scaler, {"type": "Live", "status": "True"})
            chance.now = START + 60_000
            said = await store.set_condition(key(), xds, {"type": "Live", "status": "False", "reason": "x"})
            early = "2027-01-15T08:00:00Z"
            live = {"type": "Live", "status": "False", "reason": "x", "lastTransitionTime": early}
            assert said.value()["status"] == {"conditions": [live]}, "nothing turned over"
            mine = {"type": "Scaled", "status": "True"}
            forged = {"conditions": [live | {"status": "True"}, mine], "replicas": 1}
            said = await store.update_status(key(), forged, scaler)
            assert said.value()["status"] == {"conditions": [live, mine], "replicas": 1}
            said = await store.update_status(key(), {"replicas": 2}, scaler)
            assert said.value()["status"] == {"conditions": [live], "replicas": 2}
            turned = await store.set_condition(key(), xds, {"type": "Live", "status": "True"})
            assert turned.value()["status"]["conditions"][0]["lastTransitionTime"] == "2027-01-15T08:01:00Z"
            await store.transact([RemoveCondition(key(), xds, "Live")], ANNA)
            await store.set_condition(key(), scaler, {"type": "Live", "status": "True"})
            with pytest.raises(InvalidError):
                await store.set_condition(key(), xds, {"status": "True"})
            with pytest.raises(InvalidError):
                await store.update_status(key(), {"conditions": 1}, xds)

    asyncio.run(scenario())


def test_status_writes_of_one_transaction_to_one_object_are_one_event(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            made = await store.create(key(), value(), ANNA)
            kinds = [SetCondition(key(), Owner("x"), {"type": kind, "status": "True"}) for kind in "ABC"]
            absent = SetCondition(key("b"), Owner("x"), {"type": "A"}, if_exists=True)
            other = SetCondition(key(), Owner("x"), {"type": "D"}, uid=Uid("another"), if_exists=True)
            done = await store.transact([*kinds, absent, other, UpdateStatus(key(), {"n": 1}, Owner("y"))], ANNA)
            assert done.revision == made.revision + 1
            assert done.written[0].version == done.written[-1].version == await store.get(key())
            assert (done.written[3].version, done.written[4].event) == (None, None)
            status = (await store.get(key())).value()["status"]
            assert ([item["type"] for item in status["conditions"]], status["n"]) == (["A", "B", "C"], 1)

    asyncio.run(scenario())


# ---------------------------------------------------------------- lists
async def fill(store: Store) -> None:
    for name in "dbaec":
        for namespace in ("two", "one"):
            labels = {"app": name, "tier": "front" if name in "ab" else "back"}
            await store.create(key(name, namespace), value(name, labels), ANNA)
    await store.create(key("a", "one", SERVICES), value(), ANNA)
    await store.create(key("n", "", NODES), value(), ANNA)


def test_lists_are_sorted_and_select(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await fill(store)

            async def names(namespace: str | None = None, labels: str = "", fields: str = "") -> str:
                scope = Scope(ROUTES, namespace, parse_selector(labels, fields))
                return "".join(item.key.name for item in (await store.list(Query(scope))).items)

            assert await names() == "abcdeabcde"
            assert await names("one") == "abcde"
            assert await names("one", "tier=front") == "ab"
            assert await names("one", "tier!=front,app notin (c)") == "de"
            assert await names("one", fields="metadata.name=c") == "c"
            assert await names(fields="metadata.name=c") == "cc"
            assert await names("one", fields="metadata.name=c,spec.x=d") == ""
            assert await names(fields="metadata.namespace=two,metadata.name!=c") == "abde"
            assert await names("none") == ""
            everything = await store.list(Query(Scope()))
            assert (len(everything.items), everything.revision) == (12, 12)
            assert [str(item.key) for item in (await store.list(Query(Scope(NODES)))).items] == ["nodes/n"]

    asyncio.run(scenario())


def test_pages_show_one_revision_whatever_happens_in_between(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await fill(store)
            before = (await store.list(Query(Scope(ROUTES)))).items
            page = await store.list(Query(Scope(ROUTES), limit=3))
            items, remaining = list(page.items), [page.remaining]
            step = 0
            while page.token:
                step += 1
                await store.create(key(f"c{step}", "one"), value(), ANNA)
                await store.delete(key("edcba"[step], "two"), ANNA)
                await store.update(key("e", "one"), value(step), ANNA)
                page = await store.list(Query(Scope(ROUTES), limit=3, token=page.token))
                assert page.revision == 12
                items += page.items
                remaining.append(page.remaining)
            assert tuple(items) == before
            assert remaining == [7, 4, 1, 0]
            at = await store.list(Query(Scope(ROUTES), at=Revision(12)))
            assert at.items == before
            chosen = Query(Scope(ROUTES, "one", parse_selector(fields="metadata.name=e")), at=Revision(12))
            assert [spec(item) for item in (await store.list(chosen)).items] == ["e"]
            assert [spec(item) for item in (await store.list(Query(chosen.scope))).items] == [3]

    asyncio.run(scenario())


@pytest.mark.parametrize("last", ["create", "update", "delete"])
def test_an_older_revision_is_shown_exactly(opened: Opened, last: str) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await fill(store)
            if last == "update":
                await store.update(key("c", "one"), value("new"), ANNA)
            elif last == "delete":
                await store.delete(key("c", "one"), ANNA)
            then = await store.list(Query(Scope()))
            await store.update(key("d", "one"), value("later"), ANNA)
            await store.delete(key("a", "one"), ANNA)
            await store.create(key("f", "one"), value("later"), ANNA)
            assert await store.list(Query(Scope(), at=then.revision)) == then

    asyncio.run(scenario())


def test_pages_with_a_selector_are_full(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await fill(store)
            scope = Scope(ROUTES, None, parse_selector("tier=back"))
            found: list[Key] = []
            sizes: list[int] = []
            token = None
            while True:
                page = await store.list(Query(scope, limit=4, token=token))
                assert page.remaining is None
                sizes.append(len(page.items))
                found += (item.key for item in page.items)
                token = page.token
                if token is None:
                    break
            assert sizes == [4, 2]
            assert found == [key(name, space) for space in ("one", "two") for name in "cde"]

    asyncio.run(scenario())


def test_tokens_of_others_and_revisions_to_come_are_refused(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await fill(store)
            for token in ("x", "bm9uc2Vuc2U=", "\u00fc"):
                with pytest.raises(InvalidError):
                    await store.list(Query(Scope(ROUTES), limit=1, token=token))
            with pytest.raises(GoneError):
                await store.list(Query(Scope(ROUTES), at=Revision(99)))
            with pytest.raises(GoneError):
                await store.watch(Scope(ROUTES), Revision(99))

    asyncio.run(scenario())


# ---------------------------------------------------------------- watches
def test_a_watch_gives_the_past_and_then_what_comes(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.create(key("a"), value(), ANNA)
            await store.create(key("s", resource=SERVICES), value(), ANNA)
            all_of_it = await store.watch(Scope(), Revision(0))
            routes = await store.watch(Scope(ROUTES), Revision(1))
            other = await store.watch(Scope(ROUTES, "other"))
            assert await ready(all_of_it) == [("ADDED", "a"), ("ADDED", "s")]
            assert await ready(routes) == []
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(routes.batch())
                await asyncio.sleep(0)
                assert routes.revision == 2, "a bookmark may say so"
                await store.create(key("s2", resource=SERVICES), value(), ANNA)
                await store.update(key("a"), value(2), ANNA)
            assert told(waiting.result()) == [("MODIFIED", "a")]
            assert routes.revision == 4
            await store.create(key("b", "other"), value(), ANNA)
            assert await ready(other) == [("ADDED", "b")]
            assert await ready(all_of_it) == [("ADDED", "s2"), ("MODIFIED", "a"), ("ADDED", "b")]

    asyncio.run(scenario())


def test_iterating_over_a_watch_goes_on_where_it_was_left(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            for name in "abcd":
                await store.create(key(name), value(), ANNA)
            watch = await store.watch(Scope(), Revision(0))
            async for event in watch:
                if event.version.key.name == "b":
                    break
            assert watch.revision == 2
            assert await ready(watch) == [("ADDED", "c"), ("ADDED", "d")]
            assert watch.revision == 4

    asyncio.run(scenario())


def test_objects_enter_and_leave_the_selector_of_a_watch(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            scope = Scope(ROUTES, None, parse_selector("app=a"))
            watch = await store.watch(scope)
            await store.create(key("x"), value(1, {"app": "b"}), ANNA)
            await store.update(key("x"), value(2, {"app": "a"}), ANNA)
            await store.update(key("x"), value(3, {"app": "a"}), ANNA)
            await store.update(key("x"), value(4, {"app": "b"}), ANNA)
            await store.delete(key("x"), ANNA)
            await store.create(key("y"), value(1, {"app": "a"}), ANNA)
            await store.delete(key("y"), ANNA)
            for backlog in (watch, await store.watch(scope, Revision(0))):
                events = await backlog.batch()
                assert told(events) == [
                    ("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x"), ("ADDED", "y"), ("DELETED", "y"),
                ]  # fmt: skip
                assert [event.version.revision for event in events] == [2, 3, 4, 6, 7]
                assert spec(events[2].version) == 3, "as it was when it still belonged"

    asyncio.run(scenario())


def test_a_slow_watch_reads_the_log_and_misses_nothing(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(window_events=4)) as store:
            watch = await store.watch(Scope(ROUTES))
            for number in range(40):
                name = key(str(number), resource=SERVICES if number % 2 else ROUTES)
                await store.create(name, value(number), ANNA)
            got = [event async for event in _first(watch, 20)]
            assert [spec(event.version) for event in got] == list(range(0, 40, 2))
            assert all(event.before is None for event in got)

    asyncio.run(scenario())


async def _first(watch: Watch, count: int) -> AsyncIterator[Event]:
    seen = 0
    async for event in watch:
        yield event
        seen += 1
        if seen == count:
            return


def test_cancelling_a_wait_loses_nothing(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            watch = await store.watch(Scope())
            got: list[tuple[str, str]] = []
            for number in range(30):
                await store.create(key(f"{number:02}"), value(), ANNA)
                try:
                    async with asyncio.timeout(0):
                        got += told(await watch.batch())
                except TimeoutError:
                    continue
            got += await ready(watch)
            assert [name for _, name in got] == [f"{number:02}" for number in range(30)]

    asyncio.run(scenario())


# ---------------------------------------------------------------- forgetting
def test_the_past_is_forgotten_by_count_and_the_present_is_not(opened: Opened) -> None:
    async def scenario() -> None:
        limits = Limits(events=10, changes=5, window_events=2)
        async with opened(limits=limits) as store:
            await store.create(key("old"), value("old"), ANNA)
            watch = await store.watch(Scope())
            token = (await store.list(Query(Scope(), limit=1))).token
            assert token is None
            await store.create(key("b"), value(), ANNA)
            token = (await store.list(Query(Scope(), limit=1))).token
            for number in range(60):
                await store.update(key("b"), value(number + 100), ANNA)
            assert await store.compact() == 52
            head = await store.head()
            assert (head.revision, head.compacted, head.change, head.oldest_change) == (62, 52, 62, 58)
            with pytest.raises(GoneError) as gone:
                await store.watch(Scope(), Revision(51))
            assert (gone.value.oldest, gone.value.newest) == (52, 62)
            with pytest.raises(GoneError):
                await watch.batch()
            with pytest.raises(GoneError):
                await store.list(Query(Scope(), limit=1, token=token))
            kept = await store.watch(Scope(), Revision(52))
            assert len(await ready(kept)) == 10
            old = await store.list(Query(Scope(), at=Revision(52)))
            assert [spec(item) for item in old.items] == [149, "old"]
            assert spec(await store.get(key("old"))) == "old"
            with pytest.raises(GoneError):
                await store.change(ChangeNumber(57))
            assert [change.number for change in await store.changes()] == [62, 61, 60, 59, 58]
            before = (await store.change(ChangeNumber(58))).differences[0].before
            assert before is not None
            assert before.value()["spec"]["x"] == 154

    asyncio.run(scenario())


def test_history_outlives_the_events(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(events=2, changes=5)) as store:
            await store.create(key(), value(0), ANNA)
            for number in range(1, 8):
                await store.update(key(), value(number), ANNA)
            for number in range(20):
                await store.update_status(key(), {"n": number}, Owner("me"))
            await store.compact()
            assert (await store.head()).compacted == 26
            found = await store.changes()
            said = [
                tuple(body.value()["spec"]["x"] for body in (item.before, item.after) if body)
                for change in found
                for item in change.differences
            ]
            assert said == [(6, 7), (5, 6), (4, 5), (3, 4), (2, 3)]
            plan = await store.rollback(ChangeNumber(3))
            assert spec_of(plan.writes) == [2]

    asyncio.run(scenario())


def spec_of(writes: Sequence[Write]) -> list[object]:
    return [write.value["spec"]["x"] for write in writes if isinstance(write, Update)]


def test_the_past_is_forgotten_by_age(opened: Opened) -> None:
    async def scenario() -> None:
        chance = Chance()
        limits = Limits(event_seconds=100, change_seconds=1000)
        async with opened(chance, limits) as store:
            await store.create(key("a"), value(), ANNA)
            chance.now += 50_000
            await store.update(key("a"), value(2), ANNA)
            chance.now += 60_000
            assert await store.compact() == 1
            chance.now += 60_000
            assert await store.compact() == 2
            assert (await store.head()).oldest_change == 1
            chance.now += 1_000_000
            await store.compact()
            assert (await store.head()).oldest_change == 3
            assert spec(await store.get(key("a"))) == 2
            assert spec(await store.update(key("a"), value(3), ANNA)) == 3
            assert (await store.changes())[0].number == 3

    asyncio.run(scenario())


def test_old_events_go_by_themselves(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(events=20, changes=10)) as store:
            for number in range(100):
                await store.transact([Create(key(str(number)), value()), Delete(key(str(number)))], ANNA)
            head = await store.head()
            assert 20 <= head.revision - head.compacted <= 24

    asyncio.run(scenario())


# ---------------------------------------------------------------- many writers
def test_many_writers_at_once_lose_no_update(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.create(key(), value(0), ANNA)

            async def add() -> None:
                for _ in range(10):
                    while True:
                        now = await store.get(key())
                        try:
                            await store.update(key(), value(spec(now) + 1), ANNA, now.revision)
                            break
                        except ConflictError:
                            continue

            async with asyncio.TaskGroup() as tasks:
                for _ in range(8):
                    tasks.create_task(add())
            assert spec(await store.get(key())) == 80
            assert meta(await store.get(key()))["generation"] == 81

    asyncio.run(scenario())


def test_one_writers_mistake_is_no_one_elses(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:

            async def create(number: int) -> bool:
                try:
                    labels = {"bad": 1} if number == 7 else {}
                    await store.create(key(str(number // 2)), value(labels=labels), ANNA)
                except (AlreadyExistsError, InvalidError):
                    return False
                return True

            async with asyncio.TaskGroup() as tasks:
                made = [tasks.create_task(create(number)) for number in range(40)]
            assert sum(task.result() for task in made) == 20
            assert (await store.head()).revision == 20

    asyncio.run(scenario())
