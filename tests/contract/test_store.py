"""What every store does with writes, on whatever it keeps its records."""

import asyncio

import pytest

from meshwright.store.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OwnedError,
)
from meshwright.store.names import ChangeNumber, Json, Owner, Revision, Uid
from meshwright.store.query import Scope
from meshwright.store.version import EventType
from meshwright.store.writes import Create, Delete, RemoveCondition, SetCondition, Update, UpdateStatus
from tests.contract.stores import Opened, ready
from tests.store.objects import ANNA, START, Chance, key, meta, spec, value


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
