"""kill -9 and SIGSTOP of everything of ours, under load and while changes are written.

Whatever happens to control plane and agent: no request fails, nothing that was acknowledged is lost.
"""

import http.client
import json
import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

from meshwright.processes import procfs, unixsockets
from meshwright.processes.state import DataDirectory
from tests.live.mesh import Mesh
from tests.slow.bookinfo import NOBODY, as_nobody, bookinfo_mesh, demo_of_root, load, page
from tests.slow.victims import (
    Api,
    applications,
    apply_rule,
    change_rule,
    healthy,
    in_pods,
    kill,
    memory,
    ours,
    stopped,
    writing,
)

pytestmark = pytest.mark.timeout(240)
UNREACHABLE = 3
DETAILS = "/api/v1/products/0"
REVIEWS = "/api/v1/products/0/reviews"


@pytest.fixture(scope="module")
def whole() -> Generator[Mesh]:
    assert os.geteuid() == 0, "this test starts meshes as root and as an ordinary user, so it needs root"
    with demo_of_root() as made:
        yield made


@pytest.fixture
def mesh(whole: Mesh) -> Mesh:
    whole.eventually(lambda: healthy(whole), "the mesh is healthy", 60)
    return whole


@pytest.mark.parametrize(
    "victims", [("control-plane",), ("agent",), ("control-plane", "agent", "telemetry")], ids="+".join
)
def test_killed_during_load_and_writes(mesh: Mesh, victims: tuple[str, ...]) -> None:
    before = applications(mesh)
    with load(mesh.host_port) as running, writing(mesh, "-".join(("k", *victims))) as writer:
        running.wait_for(20)
        for _ in range(3):
            for name in victims:
                kill(ours(mesh, name))
            running.wait_for(50)
            writer.wait_for(10)
        mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
        running.wait_for(20)
    assert set(running.statuses) == {200}
    assert applications(mesh) == before, "no application was started anew"
    assert apply_rule(mesh, "--wait")["receipt"]["live"]


@pytest.mark.parametrize("victims", [("control-plane",), ("agent",), ("control-plane", "agent")], ids="+".join)
def test_stopped_longer_than_the_heartbeat_during_load(mesh: Mesh, victims: tuple[str, ...]) -> None:
    before = applications(mesh)
    with load(mesh.host_port) as running, writing(mesh, "-".join(("s", *victims))) as writer:
        writer.wait_for(10)
        with stopped(*(ours(mesh, name) for name in victims)):
            if "control-plane" in victims:
                assert apply_rule(mesh) == UNREACHABLE  # after more than the heartbeat
            else:
                answer = apply_rule(mesh, "--wait")  # who is stopped is absent, and not waited for
                assert answer["receipt"]["live"]
                assert len(answer["receipt"]["absent"]) == answer["receipt"]["affected"]
            running.wait_for(50)
        mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
        writer.wait_for(10)
        running.wait_for(20)
    assert set(running.statuses) == {200}
    assert applications(mesh) == before, "no application was started anew"
    assert apply_rule(mesh, "--wait")["receipt"]["live"]


@pytest.mark.parametrize("victim", ["istio-ingressgateway", "productpage-v1", "details-v1", "reviews-v1"])
def test_a_killed_envoy_costs_its_own_pod_at_most(mesh: Mesh, victim: str) -> None:
    before = applications(mesh)
    path = {"details-v1": REVIEWS}.get(victim, DETAILS)
    with load(mesh.host_port, path) as running, writing(mesh, f"e-{victim}") as writer:
        running.wait_for(20)
        kill(in_pods(mesh)[victim, "envoy"])
        writer.wait_for(5)
        mesh.eventually(lambda: healthy(mesh), "its Envoy is back", 60)
        running.wait_for(20)
    if victim not in {"istio-ingressgateway", "productpage-v1"}:  # on the way of every request
        assert set(running.statuses) == {200}
    assert running.statuses[-20:] == [200] * 20
    assert applications(mesh) == before, "no application was started anew"


def test_a_killed_envoy_among_several_costs_next_to_nothing(mesh: Mesh) -> None:
    """What was on its way at that moment is lost; all others are tried again at another pod."""
    with load(mesh.host_port, REVIEWS) as running:
        running.wait_for(50)
        kill(in_pods(mesh)["reviews-v2", "envoy"])
        running.wait_for(200)
        mesh.eventually(lambda: healthy(mesh), "its Envoy is back", 60)
    assert len([status for status in running.statuses if status != 200]) <= 1  # one client asks, one after the other


def test_a_stopped_envoy_delays_no_other_and_gets_the_newest_and_only_that(mesh: Mesh) -> None:
    envoy, agent = in_pods(mesh)["reviews-v1", "envoy"], ours(mesh, "agent")
    apply_rule(mesh, "--wait")
    loads, before, api = config_loads(mesh), memory(agent), Api(mesh)
    with load(mesh.host_port, DETAILS) as running, stopped(envoy):
        change = apply_rule(mesh)["change"]
        mesh.eventually(lambda: len(stragglers(mesh, change)) == 1, "it is waited for, and nobody else")
        for number in range(200):
            change_rule(api, f"{number} " * 1_000)
        mesh.eventually(lambda: len(stragglers(mesh, change + 200)) <= 1, "all others run the newest of them")
        answer = apply_rule(
            mesh, "--wait"
        )  # until it is known to be dead it is waited for by name, then it is absent
        assert answer["receipt"]["live"]
        assert [name.startswith("reviews-v1") for name in answer["receipt"]["absent"]] == [True]
        assert memory(agent) - before < 32 << 20, "nothing is queued for it"
        running.wait_for(20)
    mesh.eventually(lambda: healthy(mesh), "it goes on with the newest", 60)
    assert set(running.statuses) == {200}
    assert in_pods(mesh)["reviews-v1", "envoy"] == envoy, "it was not started anew"
    assert config_loads(mesh) - loads <= 8, "what was on its way when it was stopped, and the newest"


def test_a_stopped_envoy_leaves_the_endpoints_until_it_goes_on(mesh: Mesh) -> None:
    def is_ready() -> bool:
        return next(each["ready"] for each in mesh.status()["pods"] if each["name"].startswith("reviews-v1"))

    with stopped(in_pods(mesh)["reviews-v1", "envoy"]):
        mesh.eventually(lambda: not is_ready(), "its pod is not ready", 60)
        assert apply_rule(mesh, "--wait")["receipt"]["live"]  # so the others know that it is no endpoint
        with load(mesh.host_port, REVIEWS) as running:
            running.wait_for(50)
        assert set(running.statuses) == {200}
    mesh.eventually(is_ready, "its pod is ready again")


def test_everything_comes_back_from_disk_while_the_control_plane_is_down(mesh: Mesh) -> None:
    before, leaves = in_pods(mesh), leaf_files(mesh)
    with writing(mesh, "down") as writer:
        writer.wait_for(5)
    with stopped(ours(mesh, "control-plane")):
        kill(ours(mesh, "agent"))
        mesh.eventually(lambda: pods_ready(mesh), "the agent is back from its cache")
        kill(before["productpage-v1", "envoy"])
        kill(before["details-v1", "envoy"])
        kill(before["ratings-v1", "application"])
        mesh.eventually(lambda: renewed(mesh, before) == {
            ("productpage-v1", "envoy"), ("details-v1", "envoy"), ("ratings-v1", "application"),
        }, "what was killed runs again, and nothing else")  # fmt: skip
        mesh.eventually(lambda: pods_ready(mesh) and page(mesh.host_port)[0] == 200, "all pods are ready")
        looks = "".join(page(mesh.host_port)[1] for _ in range(20))
        assert "Error fetching product" not in looks
        assert 'data-color="red"' in looks, "ratings are served too, over mutual TLS"
        assert leaf_files(mesh) == leaves, "the identities are those of before"
        assert apply_rule(mesh) == UNREACHABLE
        with load(mesh.host_port) as running:
            running.wait_for(50)
        assert set(running.statuses) == {200}
    mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
    assert writer.lost() == set()


def test_the_whole_sandbox_comes_back_while_the_control_plane_is_down(mesh: Mesh) -> None:
    before, leaves = in_pods(mesh), leaf_files(mesh)
    with stopped(ours(mesh, "control-plane")):
        kill(ours(mesh, "holder"))  # the kernel ends every pod with it
        mesh.eventually(lambda: renewed(mesh, before) == before.keys(), "every process is another one", 60)
        mesh.eventually(lambda: pods_ready(mesh) and page(mesh.host_port)[0] == 200, "all pods are ready", 60)
        assert leaf_files(mesh) == leaves, "the identities are those of before"
    mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
    assert apply_rule(mesh, "--wait")["receipt"]["live"]


def test_a_control_plane_that_nobody_starts_again(mesh: Mesh) -> None:
    before = in_pods(mesh)
    with stopped(ours(mesh, "supervisor")):
        kill_unreaped(ours(mesh, "control-plane"))
        assert apply_rule(mesh) == UNREACHABLE
        kill(before["reviews-v3", "envoy"])
        mesh.eventually(lambda: renewed(mesh, before) == {("reviews-v3", "envoy")}, "its Envoy is back")
        mesh.eventually(lambda: pods_ready(mesh), "and ready")
        with load(mesh.host_port) as running:
            running.wait_for(50)
        assert set(running.statuses) == {200}
    mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
    assert apply_rule(mesh, "--wait")["receipt"]["live"]


def test_as_an_ordinary_user() -> None:
    with bookinfo_mesh(as_nobody(), NOBODY) as mesh:
        mesh.up([], profile="demo")
        before = applications(mesh)
        with load(mesh.host_port) as running, writing(mesh, "user") as writer:
            for name in ("control-plane", "agent"):
                kill(ours(mesh, name))
                running.wait_for(50)
                writer.wait_for(10)
            mesh.eventually(lambda: healthy(mesh), "all is well again", 60)
        assert set(running.statuses) == {200}
        assert applications(mesh) == before, "no application was started anew"
        with stopped(ours(mesh, "control-plane")):
            kill(ours(mesh, "agent"))
            mesh.eventually(lambda: pods_ready(mesh), "the agent is back from its cache")
            kill(in_pods(mesh)["details-v1", "envoy"])
            mesh.eventually(lambda: pods_ready(mesh) and page(mesh.host_port, DETAILS)[0] == 200, "its Envoy is back")
        mesh.eventually(lambda: healthy(mesh), "all is well again", 60)


def stragglers(mesh: Mesh, change: int) -> list[str]:
    """Whom a change waits for, as `history` tells."""
    history = json.loads(mesh.run("history", "--limit", "5", "-o", "json").stdout)
    receipt = next(each["receipt"] for each in history if each["number"] == change)
    assert all(name.startswith("reviews-v1") for name in receipt["absent"])
    found = list(receipt["waiting"])
    return found if len(found) != 1 or found[0].startswith("reviews-v1") else [*found, "somebody else"]


def config_loads(mesh: Mesh) -> int:
    """How many route configurations the Envoy of reviews-v1 has taken since it runs."""
    pod = next(each["name"] for each in mesh.status()["pods"] if each["name"].startswith("reviews-v1"))
    client = http.client.HTTPConnection("admin")
    client.sock = unixsockets.connect(DataDirectory(mesh.data).pod(pod) / "admin.sock")
    client.sock.settimeout(10)
    try:
        client.request("GET", "/stats?filter=rds.*config_reload$")
        lines = client.getresponse().read().splitlines()
    finally:
        client.close()
    return sum(int(line.rpartition(b": ")[2]) for line in lines)


def pods_ready(mesh: Mesh) -> bool:
    """As the agent says, which needs no control plane."""
    done = mesh.run("status", "-o", "json", check=False)
    pods: list[dict[str, Any]] = json.loads(done.stdout)["pods"] if done.returncode == 0 else []
    return len(pods) == 7 and all(pod["ready"] for pod in pods)


def renewed(mesh: Mesh, before: dict[tuple[str, str], procfs.ProcessId]) -> set[tuple[str, str]]:
    """Which processes of pods are others now."""
    now = in_pods(mesh)
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and key in now}


def leaf_files(mesh: Mesh) -> dict[str, bytes]:
    """Keys and certificates of the pods."""
    folder = mesh.data / "leaves"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kill_unreaped(process: procfs.ProcessId) -> None:
    """SIGKILL for one whose parent is stopped: it stays as a zombie."""
    os.kill(process.pid, signal.SIGKILL)
