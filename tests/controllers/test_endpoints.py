"""EndpointSlices and Endpoints follow Services and pods."""

from meshwright.controllers.endpoints import SERVICE_LABEL
from meshwright.controllers.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from meshwright.store.names import Json, Key
from tests.controllers.cluster import ANNA, Cluster, deployment, deployment_key, scenario, service, template

WEB = deployment_key()


async def only_slice(world: Cluster) -> Json:
    (found,) = await world.all(ENDPOINT_SLICES)
    return found.value


async def subsets(world: Cluster) -> list[Json]:
    return (await world.there(Key(ENDPOINTS, "default", "web"))).value.get("subsets", [])


def told(value: Json) -> list[tuple[bool, bool, bool]]:
    found = (endpoint["conditions"] for endpoint in value["endpoints"])
    return [(each["ready"], each["serving"], each["terminating"]) for each in found]


@scenario()
async def test_ready_pods_are_endpoints_and_leaving_ones_say_so(world: Cluster) -> None:
    await world.put(*service())
    await world.settle()
    assert (await only_slice(world))["endpoints"] == []
    await world.put(WEB, deployment(2))
    await world.settle()
    assert (await only_slice(world))["endpoints"] == [], "pods without an address are nowhere"
    first, second = await world.all(PODS)
    await world.say(first, ready=True)
    await world.say(second, ready=False)
    await world.settle()
    value = await only_slice(world)
    assert value["metadata"]["labels"][SERVICE_LABEL] == "web"
    assert value["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert (value["addressType"], value["ports"]) == (
        "IPv4", [{"name": "http", "port": 8080, "protocol": "TCP"}],
    )  # fmt: skip
    assert told(value) == [(True, True, False), (False, False, False)]
    endpoint = value["endpoints"][0]
    assert (endpoint["nodeName"], endpoint["targetRef"]["name"]) == ("here", first.name)
    (subset,) = await subsets(world)
    assert [len(subset["addresses"]), len(subset["notReadyAddresses"])] == [1, 1]
    await world.say(second, ready=True)
    await world.delete(first.key, grace_seconds=30)
    await world.settle()
    assert told(await only_slice(world))[:2] == [(False, True, True), (True, True, False)]
    assert [address["targetRef"]["name"] for address in (await subsets(world))[0]["addresses"]] == [second.name]
    await world.delete(Key(SERVICES, "default", "web"))
    await world.settle()
    assert [await world.all(kind) for kind in (ENDPOINT_SLICES, ENDPOINTS)] == [[], []]


@scenario("memory")
async def test_a_named_port_is_the_one_of_each_pod(world: Cluster) -> None:
    other = template()
    other["spec"]["containers"][0]["ports"][0]["containerPort"] = 9090
    other["metadata"]["labels"]["v"] = "2"
    await world.put(*service())
    await world.put(WEB, deployment(1))
    two = deployment(1)
    two["spec"]["selector"] = {"matchLabels": {"v": "2"}}
    two["spec"]["template"] = other
    await world.put(deployment_key("two"), two)
    await world.roll()
    ports = sorted(each.value["ports"][0]["port"] for each in await world.all(ENDPOINT_SLICES))
    assert ports == [8080, 9090]
    assert sorted(each["ports"][0]["port"] for each in await subsets(world)) == [8080, 9090]
    await world.change(Key(SERVICES, "default", "web"), ports=[{"port": 80, "appProtocol": "http"}])
    await world.settle()
    value = await only_slice(world)
    assert value["ports"] == [{"name": "", "port": 80, "protocol": "TCP", "appProtocol": "http"}]
    assert len(value["endpoints"]) == 2


@scenario("memory")
async def test_what_has_no_selector_or_is_somebody_elses_is_left_alone(world: Cluster) -> None:
    own: Json = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {},
        "subsets": [{"addresses": [{"ip": "1.1.1.1"}]}],
    }
    key, value = service()
    del value["spec"]["selector"]
    await world.put(key, value)
    await world.put(Key(ENDPOINTS, "default", "web"), own)
    slice_key = Key(ENDPOINT_SLICES, "default", "mine")
    labels = {"labels": {SERVICE_LABEL: "web"}}
    await world.store.create(slice_key, {"metadata": labels, "addressType": "IPv4", "endpoints": []}, ANNA)
    await world.roll()
    assert await subsets(world) == own["subsets"]
    assert len(await world.all(ENDPOINT_SLICES)) == 1


@scenario("memory")
async def test_many_endpoints_are_several_slices_and_what_was_changed_by_hand_is_set_right(world: Cluster) -> None:
    await world.put(*service(publishNotReadyAddresses=True))
    await world.put(WEB, deployment(130))
    await world.settle()
    for pod in await world.all(PODS):
        await world.say(pod, ready=False)
    await world.settle()
    found = await world.all(ENDPOINT_SLICES)
    assert sorted(len(each.value["endpoints"]) for each in found) == [30, 100]
    assert {each["conditions"]["ready"] for each in found[0].value["endpoints"]} == {True}
    await world.store.update(found[0].key, {**found[0].value, "endpoints": []}, ANNA)
    await world.delete(found[1].key)
    await world.settle()
    assert sorted(len(each.value["endpoints"]) for each in await world.all(ENDPOINT_SLICES)) == [30, 100]
    await world.change(WEB, replicas=1)
    await world.roll()
    assert [len(each.value["endpoints"]) for each in await world.all(ENDPOINT_SLICES)] == [1]
