"""StatefulSets: numbers, order, and replacing from the last to the first."""

from meshwright.controllers.resources import CONTROLLER_REVISIONS, PODS, STATEFUL_SETS
from meshwright.store.names import Json, Key
from tests.controllers.cluster import Cluster, image_of, names, scenario, template

DB = Key(STATEFUL_SETS, "default", "db")


def stateful_set(replicas: int = 3, image: str = "app:1", **spec: object) -> Json:
    value = {
        "replicas": replicas,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": template(image, "db"),
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {}, "spec": {**value, **spec}}


async def staying(world: Cluster) -> list[str]:
    return names(pod for pod in await world.all(PODS) if not pod.leaving)


@scenario()
async def test_pods_come_in_order_and_go_in_reverse(world: Cluster) -> None:
    await world.put(DB, stateful_set())
    for count in (1, 2, 3):
        await world.settle()
        assert await staying(world) == [f"db-{index}" for index in range(count)]
        await world.run_pods()
    await world.settle()
    (first, _, _) = await world.all(PODS)
    assert (first.spec["hostname"], first.spec["subdomain"]) == ("db-0", "db")
    assert first.labels["statefulset.kubernetes.io/pod-name"] == "db-0"
    status = (await world.there(DB)).status
    assert (status["readyReplicas"], status["updatedReplicas"], status["observedGeneration"]) == (3, 3, 1)
    assert status["currentRevision"] == status["updateRevision"]
    await world.change(DB, replicas=1)
    await world.settle()
    assert await staying(world) == ["db-0", "db-1"], "one after the other"
    await world.roll()
    assert await staying(world) == ["db-0"]


@scenario()
async def test_a_new_template_replaces_the_last_first_and_waits_for_each(world: Cluster) -> None:
    await world.put(DB, stateful_set())
    await world.roll()
    await world.change(DB, template=template("app:2", "db"))
    for gone in ("db-2", "db-1", "db-0"):
        await world.settle()
        assert gone not in await staying(world)
        assert len(await staying(world)) == 2
        status = (await world.there(DB)).status
        assert status["currentRevision"] != status["updateRevision"]
        await world.run_pods()
        await world.settle()
        assert len(await staying(world)) == 3, "the new one has the old one's name"
        await world.run_pods()
    await world.roll()
    assert {image_of(pod.value) for pod in await world.all(PODS)} == {"app:2"}
    status = (await world.there(DB)).status
    assert status["currentRevision"] == status["updateRevision"]


@scenario("memory")
async def test_partition_parallel_on_delete_and_lost_pods(world: Cluster) -> None:
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.put(DB, stateful_set(podManagementPolicy="Parallel", updateStrategy=partition))
    await world.settle()
    assert len(await staying(world)) == 3, "all at once"
    await world.roll()
    await world.change(DB, template=template("app:2", "db"))
    await world.roll()
    images = {pod.name: image_of(pod.value) for pod in await world.all(PODS)}
    assert images == {"db-0": "app:1", "db-1": "app:1", "db-2": "app:2"}
    await world.change(DB, updateStrategy={"type": "OnDelete"}, template=template("app:3", "db"))
    await world.roll()
    assert images == {pod.name: image_of(pod.value) for pod in await world.all(PODS)}
    await world.delete(Key(PODS, "default", "db-1"))
    await world.roll()
    assert image_of((await world.there(Key(PODS, "default", "db-1"))).value) == "app:3"


@scenario("memory")
async def test_a_pod_of_somebody_else_with_its_name_is_not_taken(world: Cluster) -> None:
    other: Json = {"apiVersion": "v1", "kind": "Pod", **template(app="other")}
    await world.put(Key(PODS, "default", "db-0"), other)
    await world.put(DB, stateful_set(1))
    await world.settle()
    assert (await world.there(Key(PODS, "default", "db-0"))).controller is None
    await world.delete(Key(PODS, "default", "db-0"))
    await world.settle()
    assert (await world.there(Key(PODS, "default", "db-0"))).controller is not None


async def revisions(world: Cluster) -> list[tuple[int, str]]:
    """Number and image of every template that is remembered."""
    found = [(each.value["revision"], each.value["data"]["spec"]) for each in await world.all(CONTROLLER_REVISIONS)]
    return sorted((number, image_of(spec["template"])) for number, spec in found)


@scenario()
async def test_templates_are_remembered_and_one_that_comes_back_is_the_newest(world: Cluster) -> None:
    await world.put(DB, stateful_set())
    await world.roll()
    for image in ("app:2", "app:1"):
        await world.change(DB, template=template(image, "db"))
        await world.roll()
    assert await revisions(world) == [(2, "app:2"), (3, "app:1")]
    status = (await world.there(DB)).status
    assert status["currentRevision"] == status["updateRevision"]
    named = {each.name for each in await world.all(CONTROLLER_REVISIONS)}
    assert {pod.labels["controller-revision-hash"] for pod in await world.all(PODS)} <= named


@scenario("memory")
async def test_only_so_many_templates_are_remembered_beside_those_in_use(world: Cluster) -> None:
    await world.put(DB, stateful_set(1, revisionHistoryLimit=1))
    await world.roll()
    for number in range(2, 5):
        await world.change(DB, template=template(f"app:{number}", "db"))
        await world.roll()
    assert await revisions(world) == [(3, "app:3"), (4, "app:4")]


@scenario("memory")
async def test_a_lost_pod_below_the_partition_comes_back_as_it_was(world: Cluster) -> None:
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.put(DB, stateful_set(updateStrategy=partition))
    await world.roll()
    await world.change(DB, template=template("app:2", "db"))
    await world.roll()
    await world.delete(Key(PODS, "default", "db-0"))
    await world.roll()
    images = {pod.name: image_of(pod.value) for pod in await world.all(PODS)}
    assert images == {"db-0": "app:1", "db-1": "app:1", "db-2": "app:2"}
