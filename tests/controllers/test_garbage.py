"""Dependents go after their owner, before it, or not at all; and namespaces go with all that is in them."""

from meshwright.controllers.resources import DEPLOYMENTS, EVENTS, NAMESPACES, PODS, REPLICA_SETS, SERVICE_ACCOUNTS
from meshwright.store.names import Json, Key, Resource
from tests.controllers.cluster import (
    Cluster,
    deployment,
    deployment_key,
    names,
    namespace_key,
    scenario,
    service,
)

WEB = deployment_key()
MAPS = Resource("", "configmaps")


def config_map(*owners: Json, **metadata: object) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"ownerReferences": list(owners), **metadata}}


def owner(name: str, uid: str, *, blocks: bool = True) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": blocks}


async def started(world: Cluster) -> None:
    await world.put(WEB, deployment(2))
    await world.roll()


@scenario()
async def test_in_the_background_all_that_it_owned_follows(world: Cluster) -> None:
    await started(world)
    await world.delete(WEB)
    await world.settle()
    assert await world.all(REPLICA_SETS) == []
    pods = await world.all(PODS)
    assert [pod.leaving for pod in pods] == [True, True]
    assert pods[0].metadata["deletionGracePeriodSeconds"] == 30
    await world.roll()
    assert await world.all(PODS) == []


@scenario("memory")
async def test_in_the_foreground_it_goes_last(world: Cluster) -> None:
    await started(world)
    await world.delete(WEB, "foregroundDeletion")
    await world.settle()
    assert (await world.there(WEB)).leaving
    (replica_set,) = await world.all(REPLICA_SETS)
    assert replica_set.finalizers == ["foregroundDeletion"]
    assert [pod.leaving for pod in await world.all(PODS)] == [True, True]
    await world.roll()
    assert [await world.all(kind) for kind in (DEPLOYMENTS, REPLICA_SETS, PODS)] == [[], [], []]


@scenario("memory")
async def test_orphans_stay_and_are_adopted_again(world: Cluster) -> None:
    await started(world)
    before = names(await world.all(PODS))
    await world.delete(WEB, "orphan")
    await world.roll()
    assert await world.get(WEB) is None
    (replica_set,) = await world.all(REPLICA_SETS)
    assert replica_set.owners == []
    assert names(await world.all(PODS)) == before
    await world.put(WEB, deployment(2))
    await world.roll()
    (again,) = await world.all(REPLICA_SETS)
    assert (again.uid, (again.controller or {})["name"]) == (replica_set.uid, "web")
    assert names(await world.all(PODS)) == before


@scenario("memory")
async def test_with_several_owners_the_last_one_counts(world: Cluster) -> None:
    for name in ("a", "b"):
        await world.put(Key(MAPS, "default", name), config_map())
    first, second = [await world.there(Key(MAPS, "default", name)) for name in ("a", "b")]
    both = Key(MAPS, "default", "both")
    await world.put(both, config_map(owner("a", first.uid), owner("b", second.uid)))
    await world.put(Key(MAPS, "default", "lost"), config_map(owner("c", "no such uid")))
    await world.settle()
    assert await world.get(Key(MAPS, "default", "lost")) is None
    await world.delete(first.key, "foregroundDeletion")
    await world.settle()
    assert await world.get(first.key) is None, "it does not wait for what another owner keeps"
    assert [each["name"] for each in (await world.there(both)).owners] == ["b"]
    await world.delete(second.key)
    await world.settle()
    assert await world.get(both) is None


@scenario("memory")
async def test_a_finalizer_of_somebody_else_is_waited_for(world: Cluster) -> None:
    await world.put(Key(MAPS, "default", "a"), config_map())
    first = await world.there(Key(MAPS, "default", "a"))
    held = Key(MAPS, "default", "held")
    await world.put(held, config_map(owner("a", first.uid), finalizers=["example.com/hold"]))
    await world.delete(first.key, "foregroundDeletion")
    await world.settle()
    assert (await world.there(first.key)).leaving
    await world.put(held, config_map(owner("a", first.uid)))
    await world.settle()
    assert [await world.get(key) for key in (first.key, held)] == [None, None]


# ------------------------------------------------------------ namespaces


@scenario()
async def test_some_namespaces_are_always_there_with_an_account(world: Cluster) -> None:
    spaces = await world.all(NAMESPACES, None)
    assert names(spaces) == ["default", "istio-system", "kube-system"]
    assert {space.status["phase"] for space in spaces} == {"Active"}
    assert [each.namespace for each in await world.all(SERVICE_ACCOUNTS, None)] == names(spaces)
    await world.delete(Key(SERVICE_ACCOUNTS, "default", "default"))
    await world.settle()
    assert names(await world.all(SERVICE_ACCOUNTS)) == ["default"]


@scenario()
async def test_a_namespace_goes_with_all_that_is_in_it(world: Cluster) -> None:
    side = namespace_key("side")
    await world.put(side, {"apiVersion": "v1", "kind": "Namespace", "metadata": {}})
    await world.settle()
    await world.put(deployment_key("web", "side"), deployment(2))
    key, value = service()
    await world.put(Key(key.resource, "side", "web"), value)
    await world.put(Key(MAPS, "side", "a"), config_map())
    await world.put(Key(MAPS, "default", "a"), config_map())
    await world.roll()
    assert await world.all(EVENTS, "side")
    await world.delete(side)
    await world.settle()
    leaving = await world.there(side)
    assert leaving.status["phase"] == "Terminating"
    assert "2 pods" in leaving.status["conditions"][0]["message"]
    assert len(await world.all(PODS, "side")) == 2
    world.restart()
    await world.roll()
    assert await world.get(side) is None
    left = [
        await world.all(kind, "side") for kind in (DEPLOYMENTS, REPLICA_SETS, PODS, EVENTS, SERVICE_ACCOUNTS, MAPS)
    ]
    assert left == [[]] * 6
    assert await world.get(Key(MAPS, "default", "a")) is not None
