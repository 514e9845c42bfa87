"""Changes are counted, compared and taken back; Secrets are shown without their data."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from meshwright.store.errors import ConflictError, GoneError
from meshwright.store.history import Difference, whole_meaning
from meshwright.store.merge import rebase
from meshwright.store.names import Author, ChangeNumber, Json, Key
from meshwright.store.query import Scope
from meshwright.store.redact import redact, redact_difference
from meshwright.store.store import Store
from meshwright.store.version import Body
from meshwright.store.writes import Create, Delete, Update
from tests.store.memory import MemoryEngine
from tests.store.objects import ANNA, ROUTES, SECRETS, START, Chance, key, meta, value

N = ChangeNumber


def with_store(scenario: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await Store.open(MemoryEngine(), Chance().sources())
        await scenario(store)
        await store.close()

    asyncio.run(run())


async def versions(store: Store, *specs: object) -> None:
    """An object that was created with the first spec and then updated."""
    await store.create(key(), {"metadata": {}, "spec": specs[0]}, ANNA)
    for said in specs[1:]:
        await store.update(key(), {"metadata": {}, "spec": said}, ANNA)


def sides(differences: tuple[Difference, ...]) -> dict[str, tuple[object, object]]:
    return {item.key.name: (spec_of(item.before), spec_of(item.after)) for item in differences}


def spec_of(body: Body | None) -> object:
    return body.value()["spec"] if body else None


def test_a_change_says_who_when_why_and_what() -> None:
    async def scenario(store: Store) -> None:
        await store.transact([Create(key("a"), value(1)), Create(key("b"), value(1))], Author("anna"), "both")
        await store.update(key("a"), value(2), Author("ben"))
        first, second = await store.change(N(1)), await store.change(N(2))
        assert (first.number, first.revision, first.time, first.author, first.message) == (
            1,
            2,
            START,
            "anna",
            "both",
        )
        assert sides(first.differences) == {"a": (None, {"x": 1}), "b": (None, {"x": 1})}
        assert (second.author, second.message, sides(second.differences)) == ("ben", "", {"a": ({"x": 1}, {"x": 2})})
        assert [change.number for change in await store.changes(key=key("b"))] == [1]
        assert [change.number for change in await store.changes(limit=1)] == [2]
        assert [change.number for change in await store.changes(before=N(2))] == [1]
        for number in (N(0), N(3)):
            with pytest.raises(GoneError):
                await store.change(number)

    with_store(scenario)


@pytest.mark.parametrize(
    ("metadata", "counts"),
    [
        ({"managedFields": [{"manager": "kubectl"}]}, False),
        ({"generation": 7, "resourceVersion": "1"}, False),
        ({"labels": {"a": "b"}}, True),
        ({"annotations": {"a": "b"}}, True),
    ],
    ids=["managed", "kept", "labels", "annotations"],
)
def test_only_what_the_mesh_reads_is_a_change(metadata: Json, counts: bool) -> None:  # noqa: FBT001
    async def scenario(store: Store) -> None:
        await store.create(key(), value(), ANNA)
        await store.update(key(), value(**metadata), ANNA)
        assert (await store.head()).change == 1 + counts

    with_store(scenario)


def test_what_is_read_can_be_said() -> None:
    def meaning(at: Key, said: Json) -> bytes | None:
        return whole_meaning(at, said) if at.resource == ROUTES else None

    async def scenario() -> None:
        store = await Store.open(MemoryEngine(), Chance().sources(), meaning=meaning)
        both = await store.transact([Create(key("s", resource=SECRETS), value()), Create(key("r"), value())], ANNA)
        assert both.change == 1
        assert [item.key.name for item in (await store.change(N(1))).differences] == ["r"]
        assert (await store.transact([Delete(key("s", resource=SECRETS))], ANNA)).change is None
        watch = await store.watch(Scope())
        await store.transact([Create(key("s", resource=SECRETS), value()), Delete(key("r"))], ANNA)
        assert [event.change for event in await watch.batch()] == [None, 2]
        await store.close()

    asyncio.run(scenario())


def test_differences_between_changes_are_net() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, 1, 2, 3, 2)
        await store.create(key("b"), value(), ANNA)
        await store.delete(key("b"), ANNA)
        assert sides(await store.diff(N(1), N(3))) == {"a": (1, 3)}
        assert sides(await store.diff(N(3), N(1))) == {"a": (3, 1)}
        assert sides(await store.diff(N(2), N(4))) == {}
        assert sides(await store.diff(N(0), N(6))) == {"a": (None, 2)}
        assert sides(await store.diff(N(5), N(5))) == {}
        with pytest.raises(GoneError):
            await store.diff(N(1), N(7))

    with_store(scenario)


def test_undo_writes_what_was_before() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, 1, 2)
        await store.transact([Create(key("b"), value()), Update(key(), {"spec": 3})], ANNA)
        await store.delete(key("b"), ANNA)
        for number, state in ((4, {"a": 3, "b": {"x": 1}}), (3, {"a": 2}), (2, {"a": 1}), (1, {})):
            plan = await store.revert([N(number)])
            assert plan.conflicts == ()
            await store.transact(plan.writes, ANNA, f"undo {number}")
            found = {name: version.value()["spec"] for name in "ab" if (version := await store.find(key(name)))}
            assert found == state
        assert (await store.head()).change == 8

    with_store(scenario)


def test_undo_leaves_later_changes_of_other_fields_alone() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, {"a": 1, "b": [1]}, {"a": 2, "b": [1]}, {"a": 2, "b": [2], "c": {"d": 1}})
        plan = await store.revert([N(2)])
        assert plan.conflicts == ()
        await store.transact(plan.writes, ANNA)
        assert (await store.get(key())).value()["spec"] == {"a": 1, "b": [2], "c": {"d": 1}}

    with_store(scenario)


def test_undo_names_the_fields_that_have_moved_on() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, {"a": 1, "b": {"c": [1]}}, {"a": 2, "b": {"c": [2]}}, {"a": 3, "b": {"c": [3]}})
        await store.create(key("b"), value(), ANNA)
        plan = await store.revert([N(2), N(4)])
        assert plan.conflicts == ((key(), ("spec.a", "spec.b.c")),)
        assert [type(write) for write in plan.writes] == [Delete], "the others can still be taken back"
        assert (await store.revert([N(1)])).conflicts == ((key(), ("the object",)),)
        both = await store.revert([N(3), N(2)])
        assert both.conflicts == ()
        await store.transact(both.writes, ANNA)
        assert (await store.get(key())).value()["spec"] == {"a": 1, "b": {"c": [1]}}
        assert (await store.revert([N(2), N(3), N(5)])).writes == (), "nothing is left to do"

    with_store(scenario)


def test_rollback_goes_back_over_everything_since() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, 1, 2)
        first = await store.get(key())
        await store.delete(key(), ANNA)
        await store.create(key("b"), value(), ANNA)
        await store.create(key(), value("new"), ANNA)
        plan = await store.rollback(N(2))
        await store.transact(plan.writes, ANNA)
        assert (await store.get(key())).value()["spec"] == first.value()["spec"]
        assert await store.find(key("b")) is None
        newest = (await store.head()).change
        assert (await store.rollback(newest)).writes == ()
        with pytest.raises(GoneError, match=f"{newest + 1} is not kept: there is 0 to {newest}"):
            await store.rollback(N(newest + 1))

    with_store(scenario)


def test_a_plan_is_for_the_versions_it_saw() -> None:
    async def scenario(store: Store) -> None:
        await versions(store, 1, 2)
        plan = await store.revert([N(2)])
        await store.update(key(), {"spec": 9}, ANNA)
        with pytest.raises(ConflictError):
            await store.transact(plan.writes, ANNA)
        assert meta(await store.get(key()))["generation"] == 3
        assert (await store.get(key())).value()["spec"] == 9

    with_store(scenario)


@pytest.mark.parametrize(
    ("current", "after", "before", "merged", "conflicts"),
    [
        ({"a": 1}, {"a": 1}, {"a": 0}, {"a": 0}, []),
        ({"a": 1, "b": 1}, {"a": 1}, {}, {"b": 1}, []),
        ({"a": None}, {"a": None}, {}, {}, []),
        ({"a": True}, {"a": 1}, {"a": 0}, {"a": True}, ["a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {}}, {"a": {"c": 2}}, []),
        ({"a": [1, {"x": 1}]}, {"a": [1, {"x": 1}]}, {"a": [0]}, {"a": [0]}, []),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [0]}, {"a": [1, 2]}, ["a"]),
        (None, {"a": 1}, {"a": 0}, None, ["the object"]),
        (None, {"a": 1}, None, None, []),
        (None, None, {"a": 0}, {"a": 0}, []),
    ],
    ids=["back", "added", "null", "true", "deep", "list", "moved list", "gone", "gone too", "restored"],
)
def test_three_states_become_one(
    current: Json | None, after: Json | None, before: Json | None, merged: Json | None, conflicts: list[str]
) -> None:
    assert rebase(current, after, before) == (merged, conflicts)


def test_what_a_step_made_goes_though_its_metadata_was_written_since() -> None:
    after: Json = {"metadata": {}, "spec": {"x": 1}}
    marked: Json = {"metadata": {"finalizers": ["a/b"]}, "spec": {"x": 1}}
    assert rebase(marked, after, None) == (None, [])
    assert rebase({**marked, "spec": {"x": 2}}, after, None) == ({**marked, "spec": {"x": 2}}, ["the object"])


def test_secrets_are_shown_without_their_data() -> None:
    async def scenario(store: Store) -> None:
        at = key("tls", resource=SECRETS)
        applied = {"kubectl.kubernetes.io/last-applied-configuration": "c2VjcmV0", "other": "seen"}
        await store.create(at, {"metadata": {"annotations": applied}, "data": {"a": "c2VjcmV0", "b": "Yg=="}}, ANNA)
        await store.update(
            at, {"metadata": {}, "data": {"a": "b3RoZXI=", "b": "Yg=="}, "stringData": "c2VjcmV0"}, ANNA
        )
        first, second = await store.change(N(1)), await store.change(N(2))
        shown = (*redact_difference(first.differences[0]), *redact_difference(second.differences[0]))
        assert "c2VjcmV0" not in repr(shown)
        assert "b3RoZXI=" not in repr(shown)
        assert "c2VjcmV0" not in repr((first, second, await store.get(at))), "nor in a log of the values"
        assert shown[2] is not None
        assert shown[3] is not None
        assert (shown[2]["data"], shown[3]["data"]) == (
            {"a": "(hidden, before)", "b": "(hidden)"},
            {"a": "(hidden, after)", "b": "(hidden)"},
        )
        assert shown[2]["metadata"]["annotations"]["other"] == "seen"
        whole = (await store.get(at)).value()
        assert redact(at, whole)["data"] == {"a": "(hidden)", "b": "(hidden)"}
        assert whole["data"]["a"] == "b3RoZXI=", "the value itself is left alone"
        assert redact(key(), whole) is whole

    with_store(scenario)
