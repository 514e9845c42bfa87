"""What the pods' name server knows."""

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.pod import Deployment, PodTemplate
from meshwright.model.service import Registry, Resolution, Service
from meshwright.model.settings import MeshSettings
from meshwright.wiring.dns_names import dns_table
from meshwright.wiring.planning import plan
from meshwright.wiring.snapshot import with_addresses

DB = Deployment(
    Meta(ObjectRef("StatefulSet", "shop", "db")),
    2,
    Labels.of({"app": "db"}),
    PodTemplate(Labels.of({"app": "db"}), Labels(), "db", ()),
    stateful=True,
)


def service(
    name: str, *, headless: bool = False, alias: str | None = None, addresses: tuple[str, ...] = ()
) -> Service:
    return Service(
        Meta(ObjectRef("Service", "shop", name)),
        Hostname(f"{name}.shop.svc.cluster.local"),
        (),
        addresses=addresses,
        headless=headless,
        resolution=Resolution.NONE if headless else Resolution.STATIC,
        selector=Labels.of({"app": "db"}),
        alias_of=Hostname(alias) if alias else None,
    )


def test_services_answer_with_their_virtual_address() -> None:
    [db] = with_addresses((service("db"),))
    assert dns_table([db], ()) == (("db.shop.svc.cluster.local", db.addresses),)


def test_headless_services_answer_with_pods_and_name_each() -> None:
    pods = plan(MeshObjects(deployments=(DB,)), MeshSettings())
    table = dict(dns_table([service("db", headless=True)], pods))
    assert table["db.shop.svc.cluster.local"] == tuple(sorted(pod.address for pod in pods))
    assert table["db-0.db.shop.svc.cluster.local"] == (pods[0].address,)


def test_an_alias_answers_for_its_target() -> None:
    target = service("db", addresses=("240.240.1.1",))
    table = dict(dns_table([target, service("old", alias=target.host)], ()))
    assert table["old.shop.svc.cluster.local"] == ("240.240.1.1",)


def test_ranges_are_not_answers() -> None:
    entry = Service(
        Meta(ObjectRef("ServiceEntry", "shop", "net")),
        Hostname("net.example.com"),
        (),
        registry=Registry.EXTERNAL,
        addresses=("10.9.0.0/16",),
    )
    assert dns_table([entry], ()) == ()
