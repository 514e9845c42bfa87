"""Sidecar routes are kept by groups of services, and by what decides about them alone."""

from collections.abc import Mapping
from dataclasses import replace

from meshwright.compiler.envoy.routes import RouteBuilder, SidecarMemory, sidecar_routes
from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.compiler.visibility.view import View, VisibleService
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, Namespace, PortNumber
from meshwright.model.origin import ObjectRef
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.service import Service, ServicePort
from meshwright.model.settings import MeshSettings

SIDECAR = ProxyClass(Role.SIDECAR, Namespace("default"), Interception.UID, "1.40.0")
Buckets = tuple[Mapping[Hostname, VisibleService], ...]


def service(number: int, port: int = 80) -> Service:
    meta = Meta(ObjectRef("Service", "default", f"s{number}"))
    ports = (ServicePort(PortNumber(port), "http", Protocol.HTTP, meta.origin),)
    host = Hostname(f"s{number}.default.svc.cluster.local")
    return Service(meta, host, ports, addresses=(f"10.96.{number // 250}.{number % 250 + 1}",))


def view_of(services: list[Service], old: Buckets = (), proxy_class: ProxyClass = SIDECAR) -> View:
    """A view whose buckets are those of `old` where their services are the same."""
    seen = {one.host: VisibleService(one) for one in services}
    kept = {host: one for bucket in old for host, one in bucket.items()}
    seen = {
        host: kept[host] if host in kept and kept[host].service is one.service else one for host, one in seen.items()
    }
    made: tuple[dict[Hostname, VisibleService], ...] = tuple({} for _ in range(BUCKETS))
    for host, one in sorted(seen.items()):
        made[bucket_of(host)][host] = one
    buckets = tuple(
        old[index] if old and list(old[index].items()) == list(bucket.items()) else bucket
        for index, bucket in enumerate(made)
    )
    return View(proxy_class, MeshSettings(), seen, (), (), {}, buckets)


def hosts_of(view: View, builder: RouteBuilder) -> dict[str, list[str]]:
    return {
        built.name: [host.name for host in RouteConfiguration.FromString(b"".join(built.tail)).virtual_hosts]
        for built in sidecar_routes(view, builder)
    }


def test_a_changed_service_builds_its_group_again_and_no_other() -> None:
    services = [service(number) for number in range(300)]
    builder, first = RouteBuilder(), view_of(services)
    sidecar_routes(first, builder)
    memory = builder.memory[SIDECAR]
    assert isinstance(memory, SidecarMemory)
    before = memory.groups
    services[7] = replace(service(7), addresses=("10.97.0.1",))
    sidecar_routes(view_of(services, first.buckets), builder)
    pairs = enumerate(zip(before, memory.groups, strict=True))
    assert [index for index, (one, other) in pairs if one is not other] == [bucket_of(services[7].host)]


def test_nothing_changed_gives_the_same_objects() -> None:
    services = [service(number, 80 + number % 2) for number in range(20)]
    builder, view = RouteBuilder(), view_of(services)
    first = sidecar_routes(view, builder)
    builder.turn({SIDECAR})
    again = sidecar_routes(replace(view), builder)
    assert [built.name for built in first] == ["80", "81"]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_classes_that_are_gone_are_forgotten() -> None:
    builder = RouteBuilder()
    sidecar_routes(view_of([service(1)]), builder)
    builder.turn(set())
    assert not builder.memory


def test_a_name_that_two_claim_belongs_to_the_one_whose_full_name_it_is() -> None:
    outside = replace(
        service(1),
        meta=Meta(ObjectRef("ServiceEntry", "default", "s2")),
        host=Hostname("s2"),
        addresses=("10.96.0.3",),
    )
    view = view_of([service(2), outside])
    (built,) = sidecar_routes(view, RouteBuilder())
    made = RouteConfiguration.FromString(b"".join(built.tail))
    domains = {host.name: list(host.domains) for host in made.virtual_hosts}
    assert domains["s2:80"][:2] == ["s2", "s2."]
    assert "s2" not in domains["s2.default.svc.cluster.local:80"]
    assert "10.96.0.3" in domains["s2:80"]
    assert "10.96.0.3" not in domains["s2.default.svc.cluster.local:80"]


def test_a_forward_proxy_has_one_configuration_with_ports_in_the_domains() -> None:
    proxied = replace(SIDECAR, interception=Interception.NONE)
    view = view_of([service(1), service(2, 9080)], proxy_class=proxied)
    (built,) = sidecar_routes(view, RouteBuilder())
    made = RouteConfiguration.FromString(built.message.SerializeToString() + b"".join(built.tail))
    assert made.name == "http_proxy"
    assert not made.ignore_port_in_host_matching
    domains = {host.name.partition(".")[0]: list(host.domains) for host in made.virtual_hosts}
    assert {"s1", "s1:80", "10.96.0.2:80"} <= set(domains["s1"])
    assert "s2:9080" in domains["s2"]
    assert "s2" not in domains["s2"]
    assert domains["block_all"] == ["*"], "a forward proxy has no original destination"
