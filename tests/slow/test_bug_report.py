"""`bug-report` of a real mesh: what is inside, that no secret is, and what it does when parts are away."""

import base64
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.mesh import Mesh, apply, own_mesh
from tests.slow.bookinfo import pids

pytestmark = pytest.mark.timeout(240)
OF_A_SECRET, OF_ENV, OF_A_HEADER, OF_A_MATCH = (
    "hunter2-of-the-db",
    "pw-written-plainly",
    "ZGI6YmFzaWMtcHc=",
    "key-of-a-caller",
)
CONFIGURATION = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: shop}}
stringData: {{password: {OF_A_SECRET}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: leaky, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: leaky}}}}
  template:
    metadata: {{labels: {{app: leaky}}}}
    spec:
      containers:
      - name: main
        image: any
        command: [sh, -c, "echo connects with $DB $DB_PASSWORD; exec sleep 1000"]
        env:
        - {{name: DB_PASSWORD, value: {OF_ENV}}}
        - {{name: DB, valueFrom: {{secretKeyRef: {{name: db, key: password}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: leaky, namespace: shop}}
spec: {{selector: {{app: leaky}}, ports: [{{name: http, port: 8000}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: leaky, namespace: shop}}
spec:
  hosts: [leaky]
  http:
  - match: [{{headers: {{x-api-key: {{exact: {OF_A_MATCH}}}}}}}]
    headers: {{request: {{set: {{authorization: "Basic {OF_A_HEADER}"}}}}}}
    route: [{{destination: {{host: leaky}}}}]
  - route: [{{destination: {{host: gone}}}}]
"""
LEAKY = "shop_leaky-"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with own_mesh() as made:
        made.up([])
        apply(made, CONFIGURATION)
        made.eventually(lambda: all(pod["ready"] for pod in made.status()["pods"]), "the pods are ready", 60)
        logs = made.data / "logs"
        made.eventually(lambda: any(OF_ENV in log.read_text() for log in logs.glob(f"{LEAKY}*_main.log")), "it leaks")
        yield made


def report(mesh: Mesh, target: Path, *words: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the command answers, and the files of its archive by their paths."""
    answer = json.loads(mesh.run("bug-report", str(target), "-o", "json", *words).stdout)
    folder = target.name.removesuffix(".tar.gz")
    texts: dict[str, str] = {}
    with tarfile.open(target) as packed:
        for member in packed:
            file = packed.extractfile(member)
            assert file is not None
            texts[member.name.removeprefix(f"{folder}/")] = file.read().decode()
    assert {each["path"] for each in answer["files"]} | {"index.html", "summary.txt", "report.json"} == set(texts)
    return answer, texts


def secrets(mesh: Mesh) -> set[str]:
    """Everything that gives access to something: of the mesh itself, and of what runs in it."""
    found = {OF_A_SECRET, OF_ENV, OF_A_HEADER, OF_A_MATCH, base64.b64encode(OF_A_SECRET.encode()).decode()}
    found |= {(mesh.data / name).read_text().strip() for name in ("api/token", "console-token")}
    for file in (*mesh.data.glob("ca/*.pem"), *mesh.data.glob("api/*"), *mesh.data.glob("leaves/*.pem")):
        blocks = file.read_text().split("-----BEGIN ")
        found |= {block.splitlines()[1] for block in blocks if block.startswith(("PRIVATE KEY", "EC PRIVATE KEY"))}
    assert len(found) > 10
    return found


def leaks(mesh: Mesh, texts: dict[str, str]) -> list[tuple[str, str]]:
    return [(path, secret) for path, text in texts.items() for secret in secrets(mesh) if secret in text]


def test_a_report_has_everything_and_no_secret(mesh: Mesh, tmp_path: Path) -> None:
    answer, texts = report(mesh, tmp_path / "whole.tar.gz", "--app-logs")
    assert answer["missing"] == []
    assert leaks(mesh, texts) == []
    [own_log] = [path for path in texts if path.startswith(f"logs/pods/{LEAKY}") and path.endswith("_main.log")]
    assert texts[own_log] == "connects with [redacted] [redacted]\n"
    pods = {pod["name"] for pod in mesh.status()["pods"]}
    for name in pods:
        dump = json.loads(texts[f"proxies/{name}/config_dump.json"])
        assert any("ClustersConfigDump" in part["@type"] for part in dump["configs"])
        assert "istio" in texts[f"proxies/{name}/stats.txt"] or "listener" in texts[f"proxies/{name}/stats.txt"]
    assert "name: db" in texts["objects/secrets.yaml"]
    assert "leaky" in texts["objects/virtualservices.networking.istio.io.yaml"]
    assert "rung: " in texts["machine/doctor.txt"]
    assert json.loads(texts["status.json"])["control_plane"] == "running"
    assert {each["name"] for each in json.loads(texts["proxy-status.json"])} == pods
    assert "istio_build" in texts["metrics.txt"] or "pilot_" in texts["metrics.txt"]
    assert any("VirtualService shop/leaky" in sentence for sentence in answer["found"]), "a route leads nowhere"
    assert "VirtualService shop/leaky" in texts["analyze.txt"]
    assert "number: 1" in texts["changes.yaml"]


def test_of_a_namespace_only_and_without_applications(mesh: Mesh, tmp_path: Path) -> None:
    answer, texts = report(mesh, tmp_path / "some.tar.gz", "--exclude", "shop")
    assert not [path for path in texts if "leaky" in path or path.endswith("_main.log")]
    assert "objects/secrets.yaml" not in texts
    assert any(path.startswith("proxies/istio-ingressgateway-") for path in texts)
    assert leaks(mesh, texts) == []
    assert answer["bytes"] == (tmp_path / "some.tar.gz").stat().st_size


def test_the_control_plane_does_not_answer(mesh: Mesh, tmp_path: Path) -> None:
    stuck = pids(mesh)["control-plane"]
    os.kill(stuck, signal.SIGSTOP)
    try:
        answer, texts = report(mesh, tmp_path / "stuck.tar.gz")
    finally:
        os.kill(stuck, signal.SIGCONT)
    assert any("the control plane is away" in sentence for sentence in answer["found"])
    assert any("process control-plane is stopped" in sentence for sentence in answer["found"])
    assert any("VirtualService shop/leaky" in sentence for sentence in answer["found"]), (
        "found in the objects on disk"
    )
    assert "leaky" in texts["objects/virtualservices.networking.istio.io.yaml"]
    assert any(path.endswith("/config_dump.json") for path in texts)
    assert leaks(mesh, texts) == []


def test_the_supervisor_was_killed(tmp_path: Path) -> None:
    """What it watched over goes on, and is asked; the objects on disk are looked at."""
    with own_mesh() as mesh:
        mesh.up([], "minimal")
        apply(mesh, CONFIGURATION)
        os.kill(pids(mesh)["supervisor"], signal.SIGKILL)
        mesh.eventually(lambda: mesh.run("status", check=False).returncode == 3, "it is gone")
        answer, texts = report(mesh, tmp_path / "killed.tar.gz")
        assert any("the mesh does not run" in sentence for sentence in answer["found"])
        assert any("VirtualService shop/leaky" in sentence for sentence in answer["found"])
        assert leaks(mesh, texts) == []


def test_a_mesh_that_was_stopped(tmp_path: Path) -> None:
    with own_mesh() as mesh:
        mesh.up([], "minimal")
        apply(mesh, CONFIGURATION)
        mesh.run("down")
        answer, texts = report(mesh, tmp_path / "down.tar.gz")
        assert any("the mesh does not run" in sentence for sentence in answer["found"])
        assert {"processes", "status", "proxies", "proxy-status"} <= {each["what"] for each in answer["missing"]}
        assert "name: db" in texts["objects/secrets.yaml"]
        assert "logs/control-plane.log" in texts
        assert leaks(mesh, texts) == []
