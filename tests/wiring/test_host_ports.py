"""The ingress's Service shows the ports of the machine that lead to it."""

import asyncio
from typing import Any

from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.wiring.host_ports import SERVICES, show_host_ports, with_host_ports
from meshwright.wiring.local_mesh import profile_texts
from meshwright.wiring.run_file import Forward
from meshwright.wiring.seeding import objects_of, seed
from tests.store.memory import MemoryEngine

KEY = Key(SERVICES, "istio-system", "istio-ingressgateway")
FIRST = (Forward("http", 8080, 8080), Forward("https", 8443, 8443))
OTHER = (Forward("http", 9000, 8080), Forward("https", 9001, 8443))
ME = Author("test")


def node_ports(service: dict[str, Any]) -> dict[str, int | None]:
    return {port["name"]: port.get("nodePort") for port in service["spec"]["ports"]}


def test_the_profile_gets_them_and_nothing_else_does() -> None:
    objects = objects_of(profile_texts("default"))
    shown = with_host_ports(objects, OTHER)
    assert node_ports(shown[KEY]) == {"status-port": None, "http2": 9000, "https": 9001, "tcp": None}
    assert {key: value for key, value in shown.items() if key != KEY} == {
        key: value for key, value in objects.items() if key != KEY
    }


def test_services_that_are_no_ingress_are_left_alone() -> None:
    plain = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 8080}]}
    inside = {"type": "ClusterIP", "selector": {"istio": "ingressgateway"}, "ports": [{"port": 8080}]}
    bare: dict[str, Any] = {"type": "NodePort"}
    objects = {
        Key(SERVICES, "a", str(n)): {"kind": "Service", "spec": spec} for n, spec in enumerate((plain, inside, bare))
    }
    assert with_host_ports(objects, FIRST) == objects
    named = {
        "type": "NodePort",
        "selector": {"istio": "ingressgateway"},
        "ports": [{"port": 80, "targetPort": "http"}],
    }
    kept = {Key(SERVICES, "a", "b"): {"kind": "Service", "spec": named}}
    assert with_host_ports(kept, FIRST) == kept


def test_a_mesh_on_other_ports_says_so_once() -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await seed(store, profile_texts("default"), "up", FIRST)
        assert (await store.head()).change == 1, "one change for all of it"
        assert node_ports((await store.get(KEY)).value())["http2"] == 8080
        await show_host_ports(store, FIRST, ME)
        assert (await store.head()).change == 1
        await show_host_ports(store, OTHER, ME)
        assert node_ports((await store.get(KEY)).value()) == {
            "status-port": None, "http2": 9000, "https": 9001, "tcp": None,
        }  # fmt: skip
        await store.close()

    asyncio.run(main())
