"""Constant load over HTTP/1.1, HTTP/2, gRPC and TCP while everything changes: not one request fails."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import pytest
import yaml

from tests.live.mesh import Mesh
from tests.slow.load.changes import OTHERS, ROUTING, Changes
from tests.slow.load.world import APPS, NETWORKING, SLOW, Api, Asker, Seen, load, traced

pytestmark = pytest.mark.timeout(300)
GATEWAY = "/apis/apps/v1/namespaces/istio-system/deployments/istio-ingressgateway"
WORKLOADS = [f"{APPS}/deployments/backend-v1", f"{APPS}/deployments/backend-v2", GATEWAY]
CHANGING_SECONDS, PER_SECOND = 60, 20
SCALE_DOWNS = 20
ASKED = 250  # in each way, from a pod and at the gateway: 1,000 on connections that were open, 1,000 on new ones
# Leaves, their issuer and the root are exchanged all the time, whatever else a test changes.
LIFETIMES = {
    "DEFAULT_WORKLOAD_CERT_TTL": "30s",
    "MESHWRIGHT_ISSUER_CERT_TTL": "60s",
    "CITADEL_SELF_SIGNED_CA_CERT_TTL": "130s",
}
V1, V2 = (
    {"destination": {"host": "backend.load.svc.cluster.local", "port": {"number": 8000}, "subset": name}}
    for name in ("v1", "v2")
)


def _to(*route: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"route": list(route), **more}


def _with(weight: int) -> dict[str, Any]:
    return _to({**V1, "weight": weight}, {**V2, "weight": 100 - weight})


def _tells(number: int) -> dict[str, Any]:
    headers = {"request": {"set": {"x-rule": f"n{number}"}}, "response": {"set": {"x-answer": f"a{number}"}}}
    return _to(V2, headers=headers)


def _aborts(status: int) -> dict[str, Any]:
    return _to(V1, fault={"abort": {"httpStatus": status, "percentage": {"value": 100}}})


# A rule, and the one answer that it allows: status, version, request header, location, response header.
RULES: list[tuple[dict[str, Any], str]] = [
    (_with(100), "200 v1 - - -"),
    (_with(0), "200 v2 - - -"),
    (_tells(1), "200 v2 n1 - a1"),
    (_tells(2), "200 v2 n2 - a2"),
    (_aborts(418), "418 - - - -"),
    (_aborts(429), "429 - - - -"),
    (_to(V1), "200 v1 - - -"),
    ({"redirect": {"uri": "/there", "redirectCode": 302}}, "302 - - http://HOST/there -"),
    ({"directResponse": {"status": 410, "body": {"string": "gone"}}}, "410 - - - -"),
    (_tells(3), "200 v2 n3 - a3"),
    (_to(V1, rewrite={"uri": "/other"}), "200 v1 - - -"),
    (_to(V1, rewrite={"uri": "/wait/2000/"}, timeout="0.005s"), "504 - - - -"),
    (_with(0), "200 v2 - - -"),
]


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return LIFETIMES


@pytest.fixture
def rules_of_the_mesh(api: Api) -> Generator[None]:
    """For a test that exchanges them: the rules of mesh.yaml are back for the tests after it."""
    kept = {name: api.get(f"{NETWORKING}/virtualservices/{name}")["spec"] for name in ("backend", "front")}
    yield
    for name, spec in kept.items():
        api.patch(f"{NETWORKING}/virtualservices/{name}", {"spec": {"tcp": None, **spec}})


@contextmanager
def nothing_fails(mesh: Mesh, more: list[dict[str, Any]] | None = None) -> Generator[Seen]:
    """The load (with `more` streams) around a block. Afterwards: each stream was there, each answer was right."""
    with load(mesh, more) as seen:
        time.sleep(1)
        yield seen
        time.sleep(1)
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())


def at_pace(writer: Changes, per_second: float) -> float:
    """As many changes as a minute has at this pace; those that a busy machine is late with follow without a pause.
    How many seconds it took.
    """
    began, wanted = time.monotonic(), CHANGING_SECONDS * per_second
    while (made := writer.made.total()) < wanted:
        time.sleep(max(0.0, began + made / per_second - time.monotonic()))
        writer.make()
    return time.monotonic() - began


def test_twenty_changes_a_second(mesh: Mesh, api: Api) -> None:
    """All kinds of changes in random order; connections that were open before stay open, TCP as well. That they were
    live while the load went on is seen by the load: many of the rules were the rules of some request.
    """
    with nothing_fails(mesh) as seen, contextlib.closing(Api(mesh)) as other, ThreadPoolExecutor() as threads:
        writers = [routing, _] = [Changes(api, ROUTING), Changes(other, OTHERS)]
        took = list(threads.map(at_pace, writers, repeat(PER_SECOND / len(writers))))
        ruled = routing.ruled
        for writer in writers:
            writer.restore()
    made = sum((writer.made for writer in writers), Counter[str]())
    rules = {rule for stream in seen.streams.values() for rule in stream["rules"]} - {"-"}
    print(f"{made.total()} changes in {max(took):.0f} s while {seen.requests} requests were answered: {dict(made)}")
    print(f"{len(rules)} of {ruled} rules were the rules of requests")
    assert made.total() >= CHANGING_SECONDS * PER_SECOND
    assert set(made) == {*ROUTING, *OTHERS}
    assert len(rules) > ruled / 5, "changes were live while the load went on; those that come at once are one"
    assert {name: seen.streams[name]["reopened"] for name in ("tcp",)} == {"tcp": 6}, "no open connection was ended"


def test_rolling_restart_of_every_workload(mesh: Mesh, api: Api) -> None:
    before = {*api.pods(), *api.pods("istio-system")}
    with nothing_fails(mesh, SLOW):
        for path in WORKLOADS:
            api.restart(path)
            mesh.eventually(lambda path=path: api.rolled_out(path), f"{path} is rolled out", 100)
    after = {*api.pods(), *api.pods("istio-system")}
    assert before & after == {name for name in before if name.startswith("caller-")}


def test_twenty_scale_downs(mesh: Mesh, api: Api) -> None:
    with nothing_fails(mesh):
        for _ in range(SCALE_DOWNS):
            for replicas in (1, 2):
                api.scale("backend-v1", replicas)
                path = f"{APPS}/deployments/backend-v1"
                mesh.eventually(lambda path=path: api.rolled_out(path), f"{replicas} replicas", 100)


def apply(mesh: Mesh, rule: dict[str, Any]) -> None:
    """Inside the mesh and at the gateway the same rule, in one change."""
    documents = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "load"},
            "spec": {"http": [rule], **spec},
        }
        for name, spec in (
            ("backend", {"hosts": ["backend"]}),
            ("front", {"hosts": ["backend.example.com"], "gateways": ["front"]}),
        )
    ]
    answer = json.loads(
        mesh.run("apply", "-f", "-", "--wait", "-o", "json", stdin=yaml.safe_dump_all(documents)).stdout
    )
    assert answer["receipt"]["live"], answer


def test_applications_that_close_idle_connections(mesh: Mesh) -> None:
    """Most servers do, after some seconds; a request that is sent at that moment must not be lost."""
    seen = json.loads(mesh.python("deploy/caller.load", "bursts.py", "backend", "8000", "2"))
    assert seen["requests"] > 0
    assert seen["failed"] == 0, seen["failures"][:5]


def test_leaves_of_thirty_seconds(mesh: Mesh) -> None:
    """All tests here run with them; this one sees three exchanges. Connections outlive the leaf they began with."""
    serials = [leaf(mesh)]
    with nothing_fails(mesh) as seen:
        for _ in range(3):
            mesh.eventually(lambda: leaf(mesh) != serials[-1], "another leaf", 60)
            serials.append(leaf(mesh))
    assert len(set(serials)) == 4
    assert seen.streams["tcp"]["reopened"] == 6


def leaf(mesh: Mesh) -> str:
    """The serial number of the certificate that a backend's Envoy has now."""
    rows = mesh.run("proxy-config", "secret", "deploy/backend-v1.load").stdout.splitlines()
    return next(row for row in rows if row.startswith("default ")).split()[-3]


def test_after_the_receipt_the_old_rule_serves_nobody(mesh: Mesh, rules_of_the_mesh: None) -> None:
    """On connections that were open before the change and on new ones, from a pod and through the gateway."""
    del rules_of_the_mesh
    with contextlib.closing(Asker(mesh)) as inside, contextlib.closing(Asker(mesh, outside=True)) as outside:
        askers = {"backend:8000": inside, "backend.example.com": outside}
        for asker in askers.values():
            asker.ask(len(RULES))  # opens the connections
        for number, (rule, answer) in enumerate(RULES):
            apply(mesh, rule)
            for host, asker in askers.items():
                seen, wanted = asker.ask(ASKED), answer.replace("HOST", host)
                assert {name: set(answers) for name, answers in seen.items()} == {name: {wanted} for name in seen}, (
                    f"change {number}: {rule}: {seen}"
                )
