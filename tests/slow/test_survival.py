"""kill -9 of each process of ours: what goes on, what comes back, and that nothing is left in the end."""

import os
import signal
from collections.abc import Generator

import pytest

from meshwright.processes import procfs
from tests.live.mesh import Mesh
from tests.slow.bookinfo import demo_of_root, envoy_of, load, page, pids

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def mesh() -> Generator[Mesh]:
    with demo_of_root() as made:
        yield made


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def serves(mesh: Mesh) -> bool:
    return page(mesh.host_port)[0] == 200


def all_ready(mesh: Mesh) -> bool:
    done = mesh.run("status", "-o", "json", check=False)
    return done.returncode == 0 and '"ready": false' not in done.stdout and '"synced": false' not in done.stdout


def test_the_agents_death_loses_no_request(mesh: Mesh) -> None:
    with load(mesh.host_port) as running:
        running.wait_for(50)
        kill(pids(mesh)["agent"])
        running.wait_for(200)
        mesh.eventually(lambda: all_ready(mesh), "a new agent has adopted the pods")
        running.wait_for(200)
    assert set(running.statuses) == {200}
    assert all(pod["restarts"] == 0 for pod in mesh.status()["pods"])


def test_the_holders_death_is_mended_by_the_supervisor(mesh: Mesh) -> None:
    kill(pids(mesh)["holder"])
    mesh.eventually(lambda: serves(mesh) and all_ready(mesh), "the pods are back", 60)


def test_the_supervisors_death_is_mended_by_the_next_up(mesh: Mesh) -> None:
    victim = procfs.identify(pids(mesh)["supervisor"])
    assert victim is not None
    kill(victim.pid)
    mesh.eventually(lambda: not procfs.alive(victim), "it has ended")
    assert serves(mesh), "traffic does not need the supervisor"
    mesh.up([], profile="demo")
    assert serves(mesh)


@pytest.mark.parametrize("deployment", ["reviews-v1", "istio-ingressgateway"])
def test_an_envoys_death_is_mended(mesh: Mesh, deployment: str) -> None:
    kill(envoy_of(mesh, f"{deployment}-"))
    mesh.eventually(lambda: serves(mesh) and all_ready(mesh), "its Envoy is back")


def test_a_second_up_finds_the_first(mesh: Mesh) -> None:
    before = pids(mesh)
    assert "already runs" in mesh.up([], profile="demo")
    assert pids(mesh) == before
