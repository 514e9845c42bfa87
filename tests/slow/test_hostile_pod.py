"""A pod of a running mesh turns hostile at its own xDS socket, as who has taken over its Envoy could: it floods, it
sends broken frames, it reads nothing. All others get every change, no request fails, nothing of ours grows, and at
the sockets of others it is turned away.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from meshwright.processes import procfs
from meshwright.processes.state import DataDirectory
from meshwright.wiring.machine import NODE_SOCKET
from tests.live.mesh import Mesh
from tests.slow.load.world import NETWORKING, Api, load, loaded_mesh, traced
from tests.slow.test_stuck_proxy import STUCK
from tests.slow.victims import in_pods, memory, ours

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
HOSTILE = json.loads(json.dumps(STUCK).replace("stuck", "hostile"))
ROUND = 10  # attacks
CHANGES = 60
GROWTH = 64 << 20  # bytes of the agent: 16 MiB of messages that are not complete, what waits, what Python keeps
KNOCK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(20)
    connection.connect(sys.argv[1])
    print(connection.recv(9))
"""


@pytest.fixture(scope="module")
def mesh() -> Generator[Mesh]:
    assert os.geteuid() == 0, "this test enters the namespaces of pods, so it needs root"
    with loaded_mesh() as made:
        made.run("apply", "-f", "-", stdin=yaml.safe_dump(HOSTILE))
        made.eventually(lambda: ("hostile", "envoy") in in_pods(made), "it runs")
        made.eventually(lambda: all(pod["ready"] for pod in made.status()["pods"]), "all pods are ready")
        yield made


@dataclass(frozen=True)
class Pod:
    """A pod, and how a process gets into its network namespace."""

    name: str
    envoy: procfs.ProcessId

    @property
    def inside(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.envoy.pid}/ns/net")


def pod_of(mesh: Mesh, deployment: str) -> Pod:
    names = [each["name"] for each in mesh.status()["pods"]]
    [name] = [each for each in names if each.startswith(f"{deployment}-")]
    return Pod(name, in_pods(mesh)[deployment, "envoy"])


def xds_socket(mesh: Mesh, pod: Pod) -> Path:
    return DataDirectory(mesh.data).pods / pod.name / "xds.sock"


class Attack:
    """A program of tests/xds inside a pod's network namespace; counts what it has done."""

    def __init__(self, pod: Pod, path: Path, program: str) -> None:
        words = [*pod.inside, sys.executable, "-m", program, str(path)]
        self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.done = 0
        self._reading = threading.Thread(target=self._count)
        self._reading.start()

    def _count(self) -> None:
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            self.done += 1

    def end(self) -> None:
        assert self._process.poll() is None, "it went on until now"
        self._process.kill()
        self._process.wait()
        self._reading.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def attacking(pod: Pod, path: Path, program: str = "tests.xds.hostile_program") -> Generator[Attack]:
    attack = Attack(pod, path, program)
    try:
        yield attack
    finally:
        attack.end()


def change(api: Api, number: int) -> None:
    """One that every sidecar gets."""
    path, name = f"{NETWORKING}/virtualservices", "changing"
    answer = {"directResponse": {"status": 200, "body": {"string": str(number)}}}
    spec = {"hosts": ["changing.example.com"], "http": [answer]}
    if number:
        api.patch(f"{path}/{name}", {"spec": spec})
        return
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    api.create(path, {**kind, "metadata": {"name": name, "namespace": "load"}, "spec": spec})


def missing(mesh: Mesh) -> set[str]:
    """Whom the newest changes have not reached, by `history`."""
    history = json.loads(mesh.run("history", "--limit", str(CHANGES), "-o", "json").stdout)
    receipts = [each["receipt"] for each in history if "VirtualService load/changing" in each["objects"]]
    assert receipts
    return {
        name
        for each in receipts
        for part in ("waiting", "absent", "refused")
        for name in (each or {part: ["nobody knows"]}).get(part, ())
    }


def sound(mesh: Mesh) -> bool:
    status = mesh.status()
    return all(pod["ready"] for pod in status["pods"]) and all(each["synced"] for each in status["proxies"])


def test_a_pod_that_attacks_its_own_socket_is_alone_with_it(mesh: Mesh, api: Api) -> None:
    hostile, agent, plane = pod_of(mesh, "hostile"), ours(mesh, "agent"), ours(mesh, "control-plane")
    with load(mesh) as seen:
        with attacking(hostile, xds_socket(mesh, hostile)) as attack:
            mesh.eventually(lambda: attack.done >= ROUND, "a round of attacks", 120)
            before = memory(agent), memory(plane)
            for number in range(CHANGES):
                change(api, number)
                if number % 10 == 0:
                    mesh.eventually(lambda: missing(mesh) <= {hostile.name}, f"change {number} is live on all others")
            mesh.eventually(lambda: missing(mesh) <= {hostile.name}, "all of them are")
            mesh.eventually(lambda: attack.done >= 3 * ROUND, "more attacks", 120)
            grown = [now - then for now, then in zip((memory(agent), memory(plane)), before, strict=True)]
            print(f"{attack.done} attacks, {CHANGES} changes; agent and control plane grew by {grown} bytes")
            assert max(grown) < GROWTH
        assert (ours(mesh, "agent"), ours(mesh, "control-plane")) == (agent, plane)
        mesh.eventually(lambda: sound(mesh), "all is well again", 60)
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())
    assert "Traceback" not in (mesh.data / "logs" / "agent.log").read_text()


def test_the_sockets_of_others_are_closed_to_it(mesh: Mesh) -> None:
    """Another pod's by the kernel's word on who connects; the machine's own, at the control plane, by its owner."""
    hostile, other = pod_of(mesh, "hostile"), pod_of(mesh, "caller")
    path = xds_socket(mesh, other)
    knock = [sys.executable, "-c", KNOCK]
    done = subprocess.run([*hostile.inside, *knock, str(path)], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (0, "b''\n"), f"it is hung up on: {done.stderr}"
    assert f"may not speak for {other.name}" in (mesh.data / "logs" / "agent.log").read_text()
    with contextlib.ExitStack() as stack:
        attack = stack.enter_context(attacking(hostile, path))
        mesh.eventually(lambda: attack.done >= ROUND, "a round of attacks", 120)
        mesh.eventually(lambda: sound(mesh), "its Envoy is not disturbed", 60)
    assert shutil.which("setpriv")
    uid = Path(f"/proc/{hostile.envoy.pid}").stat().st_uid
    assert uid != 0
    as_it = [*hostile.inside, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *knock]
    node = DataDirectory(mesh.data).run / NODE_SOCKET
    done = subprocess.run([*as_it, str(node)], capture_output=True, text=True, check=False, cwd="/")
    assert "PermissionError" in done.stderr
    mesh.eventually(lambda: sound(mesh), "all is well", 60)
