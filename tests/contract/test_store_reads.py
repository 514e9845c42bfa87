"""What every store answers: lists, watches, and what of the past is kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from meshwright.store.errors import (
    GoneError,
    InvalidError,
)
from meshwright.store.limits import Limits
from meshwright.store.names import ChangeNumber, Key, Owner, Revision
from meshwright.store.query import Query, Scope
from meshwright.store.selectors import parse_selector
from meshwright.store.store import Store
from meshwright.store.version import Event
from meshwright.store.watch import Watch
from meshwright.store.writes import Create, Delete, Update, Write
from tests.contract.stores import Opened, ready
from tests.store.objects import ANNA, NODES, ROUTES, SERVICES, Chance, key, spec, told, value


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
