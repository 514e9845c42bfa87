"""Conditions of objects, the quarantine of what Envoy refuses, and that nothing is written without need."""

from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshwright.model.names import CLUSTER, ROUTES
from meshwright.model.published import EncodedResource
from meshwright.store.names import Key, Resource
from tests.status.world import ME, RULES, World, follow, rule, run

SERVICES = Resource("", "services")
DESTINATION_RULES = Resource("networking.istio.io", "destinationrules")


def refuses_body(*bodies: str, words: str = "Envoy does not like {0}"):  # noqa: ANN201 - a Refuses
    """Route configurations that answer one of these bodies are refused, the first of them in name."""

    def refuses(resource: EncodedResource) -> str:
        found = [body for body in bodies if resource.type_url == ROUTES and body.encode() in resource.value]
        return words.format(found[0]) if found else ""

    return refuses


def test_an_object_is_live_when_every_proxy_that_it_affects_runs_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.settle(3)
        world.proxies.stuck.add("p0.default")
        await world.write(rule("s0", "hello"))
        await world.settle(5)
        assert (await world.condition("s0"))["status"] == "Unknown"  # that is not worth a write yet
        await world.settle(20)
        late = await world.condition("s0")
        assert (late["status"], late["reason"]) == ("False", "Waiting")
        assert late["message"] == "live on 1/2 proxies, change 2; waiting for: p0.default"
        world.proxies.stuck.clear()
        await world.settle()
        live = await world.condition("s0")
        assert (live["status"], live["message"]) == ("True", "live on 2/2 proxies, change 2")
        assert live["observedGeneration"] == 1
        assert (await world.condition("s0", "Reconciled"))["message"] == "2/2 complete"
        assert (await world.condition("s0", "PassedAnalysis"))["status"] == "True"

    run(tmp_path, scenario)


def test_absent_proxies_count_apart(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.settle(3)
        world.proxies.connected.discard("p1.default")
        await world.write(rule("s0", "hello"))
        await world.settle()
        live = await world.condition("s0")
        assert (live["status"], live["message"]) == ("True", "live on 1/2 proxies, change 2; absent: p1.default")
        world.proxies.connected.clear()
        await world.write(rule("s0", "hello again"))
        await world.settle()
        nobody = await world.condition("s0")
        assert (nobody["status"], nobody["reason"]) == ("False", "Absent")

    run(tmp_path, scenario)


def test_what_was_there_at_the_start_follows_proxies_that_come_late(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.proxies.connected.discard("p1.default")
        await world.settle()
        first = await world.condition("s0", resource=SERVICES)
        assert (first["status"], first["message"]) == ("True", "live on 1/2 proxies; absent: p1.default")
        world.proxies.connected.add("p1.default")
        await world.settle()
        assert (await world.condition("s0", resource=SERVICES))["message"] == "live on 2/2 proxies"

    run(tmp_path, scenario)


def test_an_object_that_affects_no_proxy_is_live_at_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(rule("s0", "hello"))
        await world.settle()
        assert (await world.condition("s0"))["reason"] == "NoProxyAffected"
        assert (await world.condition("s0"))["status"] == "True"

    run(tmp_path, scenario, pods=0)


def test_a_finding_is_told_with_code_and_field_and_goes_when_it_is_cured(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        value = rule("s0", "x")
        value["spec"]["http"] = [{"route": [{"destination": {"host": "s1", "subset": "v9"}}]}]
        await world.write(value)
        await world.settle()
        assert (await world.condition("s0"))["reason"] == "NotInEffect"
        analysis = await world.condition("s0", "PassedAnalysis")
        assert (analysis["status"], analysis["reason"]) == ("False", "errorsFound")
        message, withheld = (await world.get("s0"))["status"]["validationMessages"]
        assert message["type"] == {"code": "MW0102"}
        assert message["level"] == "ERROR"
        assert withheld["type"] == {"code": "MW0121"}
        assert (await world.condition("s0", "Reconciled"))["reason"] == "withheld"
        assert message["field"] == "spec.http[0].route[0].destination.subset"
        subset = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s1, namespace: default}
spec: {host: s1, subsets: [{name: v9, labels: {app: backend}}]}
"""
        await world.write(yaml.safe_load(subset))
        await world.settle()
        assert (await world.condition("s0"))["status"] == "True"
        assert "validationMessages" not in (await world.get("s0"))["status"]

    run(tmp_path, scenario)


def test_nothing_is_written_or_compiled_without_need(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(rule("s0", "hello"))
        await world.settle()
        revision, published = (await world.store.head()).revision, world.mesh.published.value
        world.proxies.connected.discard("p0.default")
        await world.settle()
        world.proxies.connected.add("p0.default")
        await world.settle()
        assert (await world.store.head()).revision == revision
        assert world.mesh.published.value is published

    run(tmp_path, scenario)


def test_what_envoy_refuses_is_held_back_and_everything_else_is_live(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(rule("s0", "good-before"), rule("s1", "other"))
        await world.settle()
        world.proxies.refuses = refuses_body("x-poison")
        await world.write(rule("s0", "x-poison"), rule("s1", "other-and-newer"))
        await world.settle()
        refused = await world.condition("s0")
        assert (refused["status"], refused["reason"]) == ("False", "Refused")
        assert refused["message"].startswith("spec.http[0].directResponse: Envoy refuses RouteConfiguration 8000 at ")
        assert refused["message"].endswith("Envoy does not like x-poison")
        assert (await world.condition("s1"))["status"] == "True"
        routes = world.mesh.published.value.resources_of(next(iter(world.proxies.taken)))
        assert routes is not None
        [served] = [each.value for name, each in routes[ROUTES].items() if name == "8000"]
        assert b"good-before" in served
        assert b"other-and-newer" in served
        [event] = [each for each in await world.events() if each["reason"] == "Refused"]
        assert event["involvedObject"]["fieldPath"] == "spec.http[0].directResponse"
        assert event["type"] == "Warning"
        receipt = world.receipts.of(3)
        assert receipt is not None
        assert receipt.refused
        assert not receipt.live

        await world.write(rule("s0", "cured"))
        await world.settle()
        assert (await world.condition("s0"))["status"] == "True"
        assert (await world.condition("s0"))["observedGeneration"] == 3

    run(tmp_path, scenario)


def test_the_next_control_plane_holds_it_back_again_with_its_last_good_version(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(rule("s0", "good-before"), rule("s1", "other"))
        await world.settle()
        world.proxies.refuses = refuses_body("x-poison")
        await world.write(rule("s0", "x-poison"))
        await world.settle()
        revision = (await world.store.head()).revision

        async def afterwards(again: World) -> None:
            again.proxies.refuses = refuses_body("x-poison")
            await again.settle()
            assert (await again.condition("s0"))["reason"] == "Refused"
            assert (await again.condition("s1"))["message"] == "live on 2/2 proxies, change 2"
            written = (await again.store.head()).revision - revision
            assert written <= 1  # the Event is counted once more
            [resources] = {id(r): r for r in again.mesh.published.value.classes.values()}.values()
            assert b"good-before" in resources[ROUTES]["8000"].value  # type: ignore[index] - a ResourceName

        await follow(world.store, tmp_path, afterwards)

    run(tmp_path, scenario)


def test_a_cluster_of_one_object_needs_no_quarantine(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        def refuses(resource: EncodedResource) -> str:
            file = b"/etc/no-such.pem"
            return f"Invalid path: {file.decode()}" if resource.type_url == CLUSTER and file in resource.value else ""

        world.proxies.refuses = refuses
        text = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s0, namespace: default}
spec: {host: s0, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/no-such.pem}}}
"""
        await world.write(yaml.safe_load(text), rule("s1", "fine"))
        await world.settle()
        refused = await world.condition("s0", resource=DESTINATION_RULES)
        assert refused["message"].startswith("spec.trafficPolicy.tls: Envoy refuses Cluster outbound|8000||s0.")
        assert (await world.condition("s1"))["status"] == "True"

    run(tmp_path, scenario)


def test_deleting_the_culprit_ends_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.proxies.refuses = refuses_body("x-poison")
        await world.write(rule("s0", "x-poison"), rule("s1", "fine"))
        await world.settle()
        await world.store.delete(Key(RULES, "default", "s0"), ME)
        await world.settle()
        await world.write(rule("s0", "fine again"))
        await world.settle()
        assert (await world.condition("s0"))["status"] == "True"

    run(tmp_path, scenario)


def test_what_was_refused_is_tried_again(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        def refuses(resource: EncodedResource) -> str:
            both = resource.type_url == ROUTES and b"x-poison" in resource.value and b"x-reason" in resource.value
            return "x-poison and x-reason do not go together" if both else ""

        world.proxies.refuses = refuses
        await world.write(rule("s0", "x-reason"))
        await world.settle()
        await world.write(rule("s1", "x-poison"))
        await world.settle()
        assert (await world.condition("s1"))["reason"] == "Refused"
        await world.settle(350)
        assert (await world.condition("s1"))["reason"] == "Refused"
        assert len([each for each in await world.events() if each["reason"] == "Refused"]) == 1
        await world.store.delete(Key(RULES, "default", "s0"), ME)
        await world.settle(700)
        assert (await world.condition("s1"))["status"] == "True"

    run(tmp_path, scenario)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(culprits=st.sets(st.integers(0, 11), max_size=4), quoting=st.booleans())
def test_whoever_it_is_all_culprits_are_found_and_nobody_else_suffers(
    tmp_path: Path, culprits: set[int], *, quoting: bool
) -> None:
    """Envoy names what it does not like, or says nothing of use."""

    async def scenario(world: World) -> None:
        bodies = [f"x-poison-{number}-end" for number in sorted(culprits)]
        world.proxies.refuses = refuses_body(*bodies, words="no {0}" if quoting else "something is wrong")
        rules = [
            rule(f"s{number}", f"x-poison-{number}-end" if number in culprits else f"good-{number}")
            for number in range(12)
        ]
        await world.write(*rules)
        await world.settle(120)
        reasons = {number: (await world.condition(f"s{number}"))["reason"] for number in range(12)}
        assert reasons == {number: "Refused" if number in culprits else "Live" for number in range(12)}
        warned = {each["involvedObject"]["name"] for each in await world.events() if each["reason"] == "Refused"}
        assert warned == {f"s{number}" for number in culprits}
        for number in range(12):
            assert (await world.condition(f"s{number}", resource=SERVICES))["status"] == "True"

    run(tmp_path, scenario, services=12, pods=1)
