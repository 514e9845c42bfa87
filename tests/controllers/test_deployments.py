"""Deployments, their ReplicaSets and pods, as kubectl's users know them."""

from collections import Counter

from meshwright.controllers.resources import PODS, REPLICA_SETS, REVISION
from meshwright.controllers.world import Object
from meshwright.model.planned_pod import PodPhase
from meshwright.store.names import Json, Key
from tests.controllers.cluster import (
    ANNA,
    Cluster,
    deployment,
    deployment_key,
    image_of,
    is_ready,
    names,
    reasons,
    scenario,
    sizes,
    template,
)

WEB = deployment_key()
CAUSE = "kubernetes.io/change-cause"


def conditions(thing: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in thing.status.get("conditions", ())}


def annotation(thing: Object, name: str) -> str | None:
    return thing.metadata.get("annotations", {}).get(name)


async def rolled(world: Cluster, image: str) -> None:
    await world.change(WEB, template=template(image))
    await world.roll()


async def by_image(world: Cluster) -> dict[str, Object]:
    return {image_of(each.spec["template"]): each for each in await world.all(REPLICA_SETS)}


@scenario()
async def test_a_deployment_gets_a_replica_set_and_pods_with_the_names_and_marks_that_people_know(
    world: Cluster,
) -> None:
    await world.put(WEB, deployment())
    await world.settle()
    (replica_set,) = await world.all(REPLICA_SETS)
    mark = replica_set.labels["pod-template-hash"]
    assert replica_set.name == f"web-{mark}"
    assert replica_set.spec["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": mark}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}
    (reference,) = replica_set.owners
    assert reference == {**owner, "blockOwnerDeletion": True, "uid": (await world.there(WEB)).uid}
    pods = await world.all(PODS)
    assert len(pods) == 3
    for pod in pods:
        assert pod.name.startswith(f"web-{mark}-")
        assert len(pod.name) == len(f"web-{mark}-") + 5
        assert pod.labels == {"app": "web", "pod-template-hash": mark}
        assert (pod.controller or {})["uid"] == replica_set.uid
        assert pod.spec["nodeName"] == "here"
    status = (await world.there(WEB)).status
    assert (status["replicas"], status["unavailableReplicas"], "readyReplicas" in status) == (3, 3, False)
    await world.roll()
    done = await world.there(WEB)
    assert conditions(done) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    counts = {name: item for name, item in done.status.items() if name != "conditions"}
    assert counts == dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 3) | {
        "observedGeneration": 1
    }
    assert {"ScalingReplicaSet"} == await reasons(world, "web")
    assert {"Scheduled", "Started"} == await reasons(world, pods[0].name)
    head = (await world.store.head()).revision
    await world.settle()
    assert (await world.store.head()).revision == head, "nothing is left to do"


@scenario()
async def test_rollouts_have_numbers_and_causes_and_undo_takes_the_old_replica_set_again(world: Cluster) -> None:
    await world.put(WEB, deployment())
    await world.roll()
    await rolled(world, "app:2")
    first, second = (await by_image(world))["app:1"], (await by_image(world))["app:2"]
    assert (annotation(first, REVISION), annotation(second, REVISION)) == ("1", "2")
    assert annotation(await world.there(WEB), REVISION) == "2"
    assert await sizes(world) == {"app:2": 3}
    # as kubectl does: the template of the old ReplicaSet without its hash
    back: Json = {**first.spec["template"], "metadata": {"creationTimestamp": None, "labels": {"app": "web"}}}
    await world.change(WEB, template=back)
    await world.roll()
    again = (await by_image(world))["app:1"]
    assert (again.uid, annotation(again, REVISION)) == (first.uid, "3")
    assert annotation(again, "deployment.kubernetes.io/revision-history") == "1"
    assert await sizes(world) == {"app:1": 3}
    assert len(await world.all(REPLICA_SETS)) == 2
    current = await world.there(WEB)
    noted = {**current.metadata, "annotations": {**current.metadata["annotations"], CAUSE: "back to 1"}}
    await world.store.update(WEB, {**current.value, "metadata": noted}, ANNA)
    await world.settle()
    assert annotation((await by_image(world))["app:1"], CAUSE) == "back to 1"
    assert annotation((await by_image(world))["app:2"], CAUSE) is None


@scenario("memory")
async def test_with_one_replica_the_new_pod_is_ready_before_the_old_one_goes(world: Cluster) -> None:
    await world.put(WEB, deployment(1))
    await world.roll()
    await world.change(WEB, template=template("app:2"))
    await world.settle()
    assert Counter(image_of(pod.value) for pod in await world.all(PODS) if not pod.leaving) == {
        "app:1": 1,
        "app:2": 1,
    }
    new = next(pod for pod in await world.all(PODS) if image_of(pod.value) == "app:2")
    await world.say(new, ready=True)
    await world.settle()
    assert [image_of(pod.value) for pod in await world.all(PODS) if not pod.leaving] == ["app:2"]


@scenario("memory")
async def test_a_broken_template_stops_and_undo_repairs_it(world: Cluster) -> None:
    await world.put(WEB, deployment(10, progressDeadlineSeconds=60))
    await world.roll()
    await world.change(WEB, template=template("broken"))
    await world.settle()
    assert await sizes(world) == {"app:1": 8, "broken": 5}
    assert sum(is_ready(pod) and not pod.leaving for pod in await world.all(PODS)) == 8
    assert conditions(await world.there(WEB))["Progressing"][0] == "True"
    world.clock.pass_seconds(61)
    await world.settle()
    assert conditions(await world.there(WEB))["Progressing"] == ("False", "ProgressDeadlineExceeded")
    await rolled(world, "app:1")
    assert await sizes(world) == {"app:1": 10}
    assert conditions(await world.there(WEB))["Progressing"] == ("True", "NewReplicaSetAvailable")


@scenario("memory")
async def test_recreate_waits_until_all_old_pods_are_gone(world: Cluster) -> None:
    await world.put(WEB, deployment(strategy={"type": "Recreate"}))
    await world.roll()
    await world.change(WEB, template=template("app:2"))
    await world.settle()
    assert {image_of(pod.value) for pod in await world.all(PODS)} == {"app:1"}
    assert all(pod.leaving for pod in await world.all(PODS))
    await world.run_pods()
    await world.settle()
    assert [image_of(pod.value) for pod in await world.all(PODS)] == ["app:2"] * 3
    await world.roll()
    assert await sizes(world) == {"app:2": 3}


@scenario("memory")
async def test_a_paused_deployment_is_scaled_but_not_rolled_out(world: Cluster) -> None:
    await world.put(WEB, deployment())
    await world.roll()
    await world.change(WEB, paused=True, template=template("app:2"), replicas=5)
    await world.roll()
    assert await sizes(world) == {"app:1": 5}
    assert conditions(await world.there(WEB))["Progressing"] == ("Unknown", "DeploymentPaused")
    await world.change(WEB, paused=False)
    await world.roll()
    assert await sizes(world) == {"app:2": 5}
    assert conditions(await world.there(WEB))["Progressing"] == ("True", "NewReplicaSetAvailable")


@scenario("memory")
async def test_scaling_in_a_rollout_is_shared_in_proportion(world: Cluster) -> None:
    await world.put(WEB, deployment(10))
    await world.roll()
    await world.change(WEB, template=template("app:2"))
    await world.settle()
    assert await sizes(world) == {"app:1": 8, "app:2": 5}
    await world.change(WEB, replicas=20)
    await world.controllers.catch_up()
    await world.settle()
    after = await sizes(world)
    assert sum(after.values()) == 25, "as many as may be there"
    assert after["app:1"] > after["app:2"] > 5
    await world.roll()
    assert await sizes(world) == {"app:2": 20}
    await world.change(WEB, replicas=0)
    await world.roll()
    assert await sizes(world) == {}
    assert await world.all(PODS) == []


@scenario("memory")
async def test_old_replica_sets_are_kept_up_to_the_limit(world: Cluster) -> None:
    await world.put(WEB, deployment(1, revisionHistoryLimit=2))
    for number in range(5):
        await rolled(world, f"app:{number}")
    kept = sorted(annotation(each, REVISION) or "" for each in await world.all(REPLICA_SETS))
    assert kept == ["3", "4", "5"]


@scenario("memory")
async def test_pods_count_as_available_after_their_time(world: Cluster) -> None:
    await world.put(WEB, deployment(1, minReadySeconds=30))
    await world.roll()
    assert (await world.there(WEB)).status["readyReplicas"] == 1
    assert "availableReplicas" not in (await world.there(WEB)).status
    world.clock.pass_seconds(29)
    wake = await world.controllers.settle()
    assert wake is not None
    assert 0 < wake - world.clock.now <= 1000
    world.clock.pass_seconds(1)
    await world.settle()
    assert (await world.there(WEB)).status["availableReplicas"] == 1


@scenario("memory")
async def test_the_pods_that_serve_nobody_and_the_newest_go_first(world: Cluster) -> None:
    await world.put(WEB, deployment(2))
    await world.roll()
    world.clock.pass_seconds(10)
    await world.change(WEB, replicas=4)
    await world.settle()
    old, new = (await world.all(PODS))[:2], (await world.all(PODS))[2:]
    await world.say(new[0], ready=True)
    await world.change(WEB, replicas=3)
    await world.settle()
    assert names(pod for pod in await world.all(PODS) if pod.leaving) == [new[1].name]
    await world.change(WEB, replicas=2)
    await world.settle()
    assert names(pod for pod in await world.all(PODS) if not pod.leaving) == names(old)
    await world.change(WEB, replicas=3)
    await world.settle()
    assert len([pod for pod in await world.all(PODS) if not pod.leaving]) == 3, "those that end do not count"


@scenario("memory")
async def test_lost_and_failed_pods_are_replaced(world: Cluster) -> None:
    await world.put(WEB, deployment(2))
    await world.roll()
    first, second = await world.all(PODS)
    await world.delete(first.key, grace_seconds=30)
    await world.say(second, ready=False, phase=PodPhase.FAILED)
    await world.settle()
    await world.statuses.flush()
    pods = await world.all(PODS)
    assert len(pods) == 4
    assert second.name in names(pods)
    await world.roll()
    assert (await world.there(WEB)).status["readyReplicas"] == 2


@scenario("memory")
async def test_a_replica_set_adopts_what_fits_and_lets_go_what_does_not(world: Cluster) -> None:
    key = Key(REPLICA_SETS, "default", "bare")
    value = deployment(2)
    lone: Json = {"apiVersion": "v1", "kind": "Pod", **template()}
    await world.put(Key(PODS, "default", "lone"), lone)
    await world.put(key, {**value, "kind": "ReplicaSet"})
    await world.settle()
    owner = await world.there(key)
    assert len(await world.all(PODS)) == 2, "the one that was there is one of them"
    adopted = await world.there(Key(PODS, "default", "lone"))
    assert (adopted.controller or {})["uid"] == owner.uid
    relabelled = {**adopted.value, "metadata": {**adopted.metadata, "labels": {"app": "other"}}}
    await world.store.update(adopted.key, relabelled, ANNA)
    await world.settle()
    assert (await world.there(adopted.key)).controller is None
    assert len(await world.all(PODS)) == 3


@scenario("memory")
async def test_an_object_that_cannot_be_used_stops_no_other(world: Cluster) -> None:
    odd: Json = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"replicas": 2}}
    await world.put(deployment_key("odd"), {**odd, "spec": {"replicas": 1, "selector": 7, "template": [1]}})
    bad = template()
    bad["metadata"]["labels"]["number"] = 5  # not a text: the store refuses pods like that
    await world.put(deployment_key("bad"), deployment(1, app="bad", template=bad))
    await world.put(WEB, deployment())
    await world.roll()
    assert (await world.there(WEB)).status["readyReplicas"] == 3
