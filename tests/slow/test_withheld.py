"""Rules and the subsets that they lead to are deleted in every order, under load: no request fails, and none goes
elsewhere, also when the control plane is killed meanwhile.
"""

import contextlib
import json
from collections.abc import Generator
from typing import Any

import pytest
import yaml

from tests.live.mesh import Mesh
from tests.slow.load.world import NETWORKING, Api, Asker, load, traced
from tests.slow.victims import kill, ours

pytestmark = pytest.mark.timeout(300)
DEFINITION = f"{NETWORKING}/destinationrules/backend"
INSIDE, FRONT = f"{NETWORKING}/virtualservices/backend", f"{NETWORKING}/virtualservices/front"
RULES = (INSIDE, FRONT)
ASKED = 50


@pytest.fixture
def kept(mesh: Mesh, api: Api) -> Generator[list[dict[str, Any]]]:
    """The objects as they were: two rules that lead to v1 alone, and the definition. They are back afterwards."""
    found = [api.get(path) for path in (DEFINITION, *RULES)]
    documents = [{**each, "metadata": {"name": each["metadata"]["name"], "namespace": "load"}} for each in found]
    for each in documents:
        each.pop("status", None)
    yield only_v1(mesh, documents)
    put(mesh, documents)


def only_v1(mesh: Mesh, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    route = [{"route": [{"destination": {"host": "backend.load.svc.cluster.local", "subset": "v1"}}]}]
    definition, inside, front = documents
    ports = [{**each, "route": route[0]["route"]} for each in inside["spec"].get("tcp", [])]
    changed = [
        definition,
        {**inside, "spec": {**inside["spec"], "http": route, **({"tcp": ports} if ports else {})}},
        {**front, "spec": {**front["spec"], "http": [with_port(front, route[0])]}},
    ]
    put(mesh, changed)
    return changed


def with_port(front: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    """A gateway's rule names the port of a service that has several."""
    port = front["spec"]["http"][0]["route"][0]["destination"].get("port", {"number": 8000})
    return {"route": [{"destination": {**rule["route"][0]["destination"], "port": port}}]}


def put(mesh: Mesh, documents: list[dict[str, Any]]) -> None:
    text = yaml.safe_dump_all(documents)
    assert json.loads(mesh.run("apply", "-f", "-", "--wait", "-o", "json", stdin=text).stdout)["receipt"]["live"]


def settled(mesh: Mesh) -> None:
    """Every proxy runs the newest."""

    def all_synced() -> bool:
        proxies = mesh.status()["proxies"]
        return bool(proxies) and all(each["connected"] and each["synced"] for each in proxies)

    mesh.eventually(all_synced, "all proxies run the newest")


def kill_control_plane(mesh: Mesh) -> None:
    """End it with SIGKILL, and wait until the next one answers and every proxy runs the newest of it."""
    kill(ours(mesh, "control-plane"))
    mesh.eventually(lambda: mesh.run("history", check=False).returncode == 0, "the next control plane answers")
    settled(mesh)


@contextlib.contextmanager
def only_version_one_answers(mesh: Mesh) -> Generator[None]:
    """The load around a block, and at its end requests from a pod and through the gateway, on connections that were
    open before it and on new ones: nothing fails, and none of those is answered by anybody but v1.
    """
    with (
        contextlib.closing(Asker(mesh)) as inside,
        contextlib.closing(Asker(mesh, outside=True)) as outside,
        load(mesh) as seen,
    ):
        askers = (inside, outside)
        for asker in askers:
            asker.ask(ASKED)
        yield
        answers = {answer for asker in askers for each in asker.ask(ASKED).values() for answer in each}
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())
    assert answers == {"200 v1 - - -"}
    led = {name: set(stream["versions"]) for name, stream in seen.streams.items() if name != "gateway grpc"}
    assert led == {name: {"v1"} for name in led}, "only the gateway's rule for gRPC leads to both versions"


def test_a_definition_that_rules_need_is_deleted(mesh: Mesh, kept: list[dict[str, Any]]) -> None:
    """It stays in effect until nothing needs it; after kill -9 too."""
    with only_version_one_answers(mesh):
        told = mesh.run("delete", "destinationrule/backend", "-n", "load").stdout
        print(told)
        assert "subset v1 of backend is not defined any more" in told
        settled(mesh)
        for _ in range(2):
            kill_control_plane(mesh)
    with only_version_one_answers(mesh):
        put(mesh, kept[:1])


def test_a_definition_is_deleted_and_the_control_plane_is_killed_at_once(
    mesh: Mesh, api: Api, kept: list[dict[str, Any]]
) -> None:
    """What the store has taken and nobody has followed yet is found in the history."""
    with only_version_one_answers(mesh):
        for _ in range(3):
            api.delete(DEFINITION)
            kill_control_plane(mesh)
            put(mesh, kept[:1])
            api.close()  # its next request connects anew


@pytest.mark.parametrize("order", ["definition first", "rules first", "in one change"])
def test_rules_and_definition_go(mesh: Mesh, api: Api, kept: list[dict[str, Any]], order: str) -> None:
    """The gateway's rule stays: without it there would be nothing to answer at the gateway. So the definition stays
    in effect for the gateway, and for the pods the service's own route goes on.
    """
    with load(mesh) as seen:
        if order == "in one change":
            text = yaml.safe_dump_all(kept[:2])
            mesh.run("delete", "-f", "-", stdin=text)
        else:
            paths = (DEFINITION, INSIDE) if order == "definition first" else (INSIDE, DEFINITION)
            for path in paths:
                api.delete(path)
        settled(mesh)
        with contextlib.closing(Asker(mesh)) as inside, contextlib.closing(Asker(mesh, outside=True)) as outside:
            within = {answer for each in inside.ask(ASKED).values() for answer in each}
            through = {answer for each in outside.ask(ASKED).values() for answer in each}
        put(mesh, kept)
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert within == {"200 v1 - - -", "200 v2 - - -"}
    assert through == {"200 v1 - - -"}
