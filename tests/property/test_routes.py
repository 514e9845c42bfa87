"""Whatever users write, routes keep to Envoy's rules, and neither memory nor order can be seen in them."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from meshwright.compiler.compile import Compiler
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.envoyapi.rules import violations
from meshwright.model.names import ROUTES
from meshwright.model.published import EncodedResource, Published
from meshwright.model.snapshot import Snapshot
from tests.examples import examples
from tests.property.meshes import snapshots

MODEST = examples(12, 80)


def routes_of(published: Published) -> dict[tuple[str, str], EncodedResource]:
    return {
        (str(proxy), name): resource
        for proxy, proxy_class in published.proxies.items()
        for name, resource in published.classes[proxy_class].get(ROUTES, {}).items()
    }


def everything(published: Published) -> object:
    """Bytes, origins and findings: what one compilation can be told from another by."""
    return (
        {key: (one.value, one.origins) for key, one in routes_of(published).items()},
        frozenset(published.diagnostics),
    )


@MODEST
@given(snapshots())
def test_envoy_would_take_every_route(snapshot: Snapshot) -> None:
    for resource in routes_of(Compiler().compile(snapshot)).values():
        configuration = RouteConfiguration.FromString(resource.value)
        assert not violations(configuration)
        domains = [domain for host in configuration.virtual_hosts for domain in host.domains]
        assert len(domains) == len(set(domains)), "Envoy refuses a domain that stands twice"
        names = [host.name for host in configuration.virtual_hosts]
        assert len(names) == len(set(names)), "Envoy refuses a virtual host that stands twice"


@MODEST
@given(snapshots())
def test_every_route_knows_where_it_comes_from(snapshot: Snapshot) -> None:
    for resource in routes_of(Compiler().compile(snapshot)).values():
        told = {path for path, _ in resource.origins}
        for host in RouteConfiguration.FromString(resource.value).virtual_hosts:
            if host.name in ("allow_any", "block_all") or host.name.startswith("inbound|"):
                continue  # made of settings and of a workload's ports, not of what a user wrote
            assert f"virtual_hosts[{host.name}]" in told
            for index in range(len(host.routes)):
                assert f"virtual_hosts[{host.name}].routes[{index}]" in told


@MODEST
@given(st.lists(snapshots(), min_size=2, max_size=3))
def test_memory_answers_as_a_new_computation_would(history: list[Snapshot]) -> None:
    compiler = Compiler(audit=True)
    for snapshot in (*history, *history):
        assert everything(compiler.compile(snapshot)) == everything(Compiler().compile(snapshot))


@MODEST
@given(snapshots(), st.integers())
def test_order_of_objects_is_irrelevant(snapshot: Snapshot, seed: int) -> None:
    dice = random.Random(seed)
    shuffled = replace(
        snapshot,
        services=tuple(dice.sample(snapshot.services, len(snapshot.services))),
        workloads=tuple(dice.sample(snapshot.workloads, len(snapshot.workloads))),
        virtual_services=tuple(dice.sample(snapshot.virtual_services, len(snapshot.virtual_services))),
        destination_rules=tuple(dice.sample(snapshot.destination_rules, len(snapshot.destination_rules))),
        proxies=tuple(dice.sample(snapshot.proxies, len(snapshot.proxies))),
    )
    assert everything(Compiler().compile(shuffled)) == everything(Compiler().compile(snapshot))
