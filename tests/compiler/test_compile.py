"""The door: what is shared, what a change costs, what is forgotten, and what a class is said to be."""

from dataclasses import replace

from meshwright.compiler import compile as door
from meshwright.compiler.compile import Compiler, explain_class, resources_json
from meshwright.model.labels import Labels
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName
from meshwright.model.proxy import Interception
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload
from tests.compiler.meshes import host, proxy, service, workload

NAMES = ("details", "productpage", "ratings", "reviews")
CLIENT = ProxyName("productpage-v1.default")


def mesh() -> Snapshot:
    pods = tuple(workload(name, f"10.244.0.{number}") for number, name in enumerate(NAMES, 10))
    services = tuple(service(name, address=f"10.96.0.{number}") for number, name in enumerate(NAMES, 10))
    return Snapshot(services=services, workloads=pods, proxies=tuple(proxy(pod) for pod in pods))


def moved(snapshot: Snapshot, address: str) -> Snapshot:
    """The last pod got another address."""
    pod = replace(snapshot.workloads[-1], address=address)
    return replace(snapshot, workloads=(*snapshot.workloads[:-1], pod), proxies=(*snapshot.proxies[:-1], proxy(pod)))


def test_equal_proxies_share_one_class_and_its_objects() -> None:
    published = Compiler().compile(mesh())
    assert len(published.classes) == 1
    assert published.resources_of(CLIENT) is published.resources_of(ProxyName("ratings-v1.default"))
    assert published.resources_of(ProxyName("nobody.default")) is None


def test_an_address_that_changes_reaches_its_load_assignment_alone() -> None:
    compiler, snapshot = Compiler(), mesh()
    before = compiler.compile(snapshot).resources_of(CLIENT)
    after = compiler.compile(moved(snapshot, "10.244.0.99")).resources_of(CLIENT)
    assert before is not None
    assert after is not None
    for url in (CLUSTER, LISTENER, ROUTES):
        assert all(after[url][name] is made for name, made in before[url].items())
    changed = [name for name, made in before[ENDPOINTS].items() if after[ENDPOINTS][name] is not made]
    assert changed == [f"outbound|9080||{host('reviews')}"]


def test_an_unchanged_mesh_is_the_same_object() -> None:
    compiler, snapshot = Compiler(), mesh()
    first = compiler.compile(snapshot)
    second = compiler.compile(replace(snapshot, services=snapshot.services[::-1]))
    assert compiler.computed == 0
    assert second.resources_of(CLIENT) is first.resources_of(CLIENT)


def test_the_work_of_a_change_does_not_grow_with_the_mesh() -> None:
    """In values computed, not in time."""
    work: list[int] = []
    for size in (10, 200):
        pods: list[Workload] = [workload(f"svc-{number}", f"10.1.{number}.1") for number in range(size)]
        services = tuple(service(f"svc-{number}", address=f"10.2.{number}.1") for number in range(size))
        snapshot = Snapshot(services=services, workloads=tuple(pods), proxies=tuple(map(proxy, pods)))
        compiler = Compiler()
        compiler.compile(snapshot)
        compiler.compile(moved(snapshot, "10.9.9.9"))
        work.append(compiler.computed)
    assert work[1] <= work[0] + 5


def test_what_is_gone_is_forgotten() -> None:
    """After a sweep a compiler gives what a new one gives, with what came and went in between."""
    compiler, snapshot = Compiler(audit=True), mesh()
    for number in range(door.SWEEP_ROUNDS + 3):
        few = replace(snapshot, services=snapshot.services[: 1 + number % 4])
        if number % 50 and number < door.SWEEP_ROUNDS - 2:
            compiler.compile(snapshot if number % 2 else few)
            continue
        got, fresh = compiler.compile(few), Compiler().compile(few)
        assert resources_json(got, CLIENT) == resources_json(fresh, CLIENT)


def test_a_label_that_nothing_selects_changes_nothing() -> None:
    compiler, snapshot = Compiler(), mesh()
    first = compiler.compile(snapshot)
    pod = snapshot.workloads[0]
    labels = Labels.of({**dict(pod.labels.pairs), "pod-template-hash": "abc"})
    other = replace(pod, meta=replace(pod.meta, labels=labels))
    later = replace(
        snapshot, workloads=(other, *snapshot.workloads[1:]), proxies=(proxy(other), *snapshot.proxies[1:])
    )
    second = compiler.compile(later)
    assert second.proxies == first.proxies
    assert second.resources_of(CLIENT) is first.resources_of(CLIENT)


def test_a_class_can_be_read() -> None:
    text = explain_class(Compiler().compile(mesh()), CLIENT)
    assert "inbound: 9080 HTTP PERMISSIVE" in text
    assert "same class: details-v1.default, ratings-v1.default, reviews-v1.default" in text


def test_resources_as_json_have_original_names() -> None:
    made = resources_json(Compiler().compile(mesh()), CLIENT)
    assert [one["name"] for one in made["clusters"]] == sorted(one["name"] for one in made["clusters"])
    assert made["secrets"] == ["ROOTCA", "default"]
    config = next(one for one in made["routes"] if one["name"] == "9080")
    assert "virtual_hosts" in config


def test_a_gateway_has_a_twin_on_a_socket_only_where_asked() -> None:
    pod = workload("istio-ingressgateway", "10.244.0.9", gateway=True)
    for sockets in ("", "/run/x"):
        snapshot = Snapshot(workloads=(pod,), proxies=(proxy(pod, Interception.UID, sockets),))
        made = resources_json(Compiler().compile(snapshot), pod.proxy_name)
        assert made["listeners"] == []  # no Gateway selects it
        assert [one["name"] for one in made["clusters"]] == ["BlackHoleCluster"]
