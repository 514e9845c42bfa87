"""What pods without a proxy reach behind services."""

from dataclasses import replace

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.protocol import Protocol
from meshwright.model.service import Registry, Resolution, Service, ServicePort, StaticEndpoint
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import ContainerPort, Workload
from meshwright.wiring.service_addresses import service_table

ORIGIN = Origin(ObjectRef("Service", "shop", "web"))


def port(number: int, target: int | str | None = None, protocol: Protocol = Protocol.HTTP) -> ServicePort:
    return ServicePort(PortNumber(number), f"p{number}", protocol, ORIGIN, target)


def pod(name: str, address: str, *ports: ContainerPort, namespace: str = "shop", ready: bool = True) -> Workload:
    return Workload(
        Meta(ObjectRef("Pod", namespace, name), labels=Labels.of({"app": "web"})), address, ports=ports, ready=ready
    )


WEB = Service(
    Meta(ORIGIN.object),
    Hostname("web.shop.svc.cluster.local"),
    (port(80),),
    addresses=("240.240.0.1",),
    selector=Labels.of({"app": "web"}),
)
ENTRY = Service(
    Meta(ObjectRef("ServiceEntry", "shop", "old")),
    Hostname("old.example.com"),
    (port(443), port(80)),
    registry=Registry.EXTERNAL,
    addresses=("240.240.0.9",),
    endpoints=(
        StaticEndpoint("10.9.0.1", ORIGIN, (("p443", PortNumber(8443)),)),
        StaticEndpoint("10.244.0.2", ORIGIN),
        StaticEndpoint("db.example.com", ORIGIN),
        StaticEndpoint("unix:///run/db.sock", ORIGIN),
    ),
)
PODS = (pod("a", "10.244.0.3"), pod("b", "10.244.0.2"), pod("c", "10.244.0.4", ready=False))


def table(*services: Service, pods: tuple[Workload, ...] = PODS) -> dict[str, tuple[str, ...]]:
    return dict(service_table(Snapshot(services=services, workloads=pods)))


def test_ready_pods_of_the_namespace_are_endpoints() -> None:
    stranger = pod("d", "10.244.0.5", namespace="other")
    assert table(WEB, pods=(*PODS, stranger)) == {"240.240.0.1:80": ("10.244.0.2:80", "10.244.0.3:80")}


def test_readiness_changes_the_table_and_nothing_ready_is_said_to_be_nothing() -> None:
    nobody = tuple(replace(each, ready=False) for each in PODS)
    later = Snapshot(services=(WEB,), workloads=(*nobody[:2], replace(PODS[2], ready=True)))
    assert service_table(later) == (("240.240.0.1:80", ("10.244.0.4:80",)),)
    assert service_table(Snapshot(services=(WEB,), workloads=nobody)) == (("240.240.0.1:80", ()),)
    shown = replace(WEB, publish_not_ready=True)
    assert table(shown)["240.240.0.1:80"] == ("10.244.0.2:80", "10.244.0.3:80", "10.244.0.4:80")


def test_target_ports_by_number_and_by_name_of_each_pod() -> None:
    named = (
        pod("a", "10.244.0.2", ContainerPort(PortNumber(8001), "http")),
        pod("b", "10.244.0.3", ContainerPort(PortNumber(8002), "http")),
        pod("c", "10.244.0.4", ContainerPort(PortNumber(8003), "admin")),
    )
    service = replace(WEB, ports=(port(80, "http"), port(81, 9000), port(53, protocol=Protocol.UDP)))
    assert table(service, pods=named) == {
        "240.240.0.1:80": ("10.244.0.2:8001", "10.244.0.3:8002"),
        "240.240.0.1:81": ("10.244.0.2:9000", "10.244.0.3:9000", "10.244.0.4:9000"),
    }


def test_listed_endpoints_with_addresses() -> None:
    """A listed address that is a pod's is as ready as that pod; names and sockets are no addresses."""
    assert table(ENTRY) == {
        "240.240.0.9:443": ("10.244.0.2:443", "10.9.0.1:8443"),
        "240.240.0.9:80": ("10.244.0.2:80", "10.9.0.1:80"),
    }
    without = table(ENTRY, pods=(replace(PODS[1], ready=False),))
    assert without["240.240.0.9:80"] == ("10.9.0.1:80",)


def test_what_has_no_address_of_its_own_is_left_out() -> None:
    assert table(replace(WEB, addresses=(), headless=True, resolution=Resolution.NONE)) == {}
    assert table(replace(ENTRY, addresses=("10.9.0.0/16", "fd00::1"))) == {}
    assert table(replace(ENTRY, addresses=("10.9.0.1",), resolution=Resolution.NONE)) == {}
    assert table(replace(WEB, alias_of=ENTRY.host)) == {}


def test_the_first_by_name_has_a_shared_address() -> None:
    other = replace(ENTRY, host=Hostname("zzz.example.com"), addresses=WEB.addresses)
    assert table(other, WEB)["240.240.0.1:80"] == ("10.244.0.2:80", "10.244.0.3:80")
    assert table(other, WEB) == table(WEB, other)
