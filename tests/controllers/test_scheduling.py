"""Pods and the one machine: bound at once, kept out by a cordon or a taint, and bound when it opens again."""

from typing import Any

from meshwright.controllers.resources import EVENTS, NODES, PODS
from meshwright.controllers.world import Object
from meshwright.store.names import Json, Key
from tests.controllers.cluster import NODE, Cluster, deployment, deployment_key, scenario

HERE = Key(NODES, "", NODE)


async def pods(world: Cluster) -> list[Object]:
    return sorted(await world.all(PODS), key=lambda pod: pod.name)


def scheduled(pod: Object) -> Json:
    return next(each for each in pod.status["conditions"] if each["type"] == "PodScheduled")


async def events(world: Cluster, reason: str) -> list[str]:
    return [event.value["message"] for event in await world.all(EVENTS) if event.value["reason"] == reason]


@scenario("memory")
async def test_a_cordoned_machine_takes_no_pods_until_it_is_open(world: Cluster) -> None:
    await world.change(HERE, unschedulable=True)
    await world.put(deployment_key(), deployment(2))
    await world.settle()
    waiting = await pods(world)
    assert [pod.spec.get("nodeName") for pod in waiting] == [None, None]
    assert {pod.phase for pod in waiting} == {"Pending"}
    said = scheduled(waiting[0])
    assert (said["status"], said["reason"]) == ("False", "Unschedulable")
    assert said["message"] == f"0/1 nodes are available: 1 node(s) were unschedulable (kubectl uncordon {NODE})"
    assert await events(world, "FailedScheduling") == [said["message"]] * 2
    revision = (await world.store.head()).revision
    await world.settle()
    assert (await world.store.head()).revision == revision, "it is said once"

    await world.change(HERE, unschedulable=False)
    await world.roll()
    assert [pod.spec.get("nodeName") for pod in await pods(world)] == [NODE, NODE]
    assert {scheduled(pod)["status"] for pod in await pods(world)} == {"True"}


@scenario("memory")
async def test_a_taint_keeps_out_who_does_not_bear_it(world: Cluster) -> None:
    await world.change(HERE, taints=[{"key": "kind", "value": "gpu", "effect": "NoSchedule"}])

    async def bound(name: str, *tolerations: dict[str, Any]) -> bool:
        spec: Json = {"containers": [{"name": "app", "image": "app:1"}], "tolerations": list(tolerations)}
        key = Key(PODS, "default", name)
        await world.put(key, {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec})
        await world.settle()
        return "nodeName" in (await world.there(key)).spec

    assert not await bound("nothing")
    assert not await bound("other-value", {"key": "kind", "value": "fpga"})
    assert not await bound("other-effect", {"key": "kind", "operator": "Exists", "effect": "NoExecute"})
    assert await bound("same", {"key": "kind", "value": "gpu", "effect": "NoSchedule"})
    assert await bound("exists", {"key": "kind", "operator": "Exists"})
    assert await bound("everything", {"operator": "Exists"})
    await world.change(HERE, taints=[{"key": "soft", "effect": "PreferNoSchedule"}])
    await world.settle()
    assert "nodeName" in (await world.there(Key(PODS, "default", "nothing"))).spec
