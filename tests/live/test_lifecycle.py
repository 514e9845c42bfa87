"""Lifecycle hooks and the Events of containers with the unmodified kubectl on a real mesh."""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.kubectl import Kubectl
from tests.live.mesh import Answer, Mesh

HOOKED = """
apiVersion: v1
kind: Service
metadata: {name: hooked}
spec:
  selector: {app: hooked}
  ports: [{name: http, port: 80, targetPort: 8000}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hooked}
spec:
  selector: {matchLabels: {app: hooked}}
  template:
    metadata: {labels: {app: hooked}}
    spec:
      containers:
      - name: hooked
        image: example/hooked
        command: [PYTHON, PROGRAMS/echo.py, "8000"]
        ports: [{containerPort: 8000}]
        readinessProbe: {httpGet: {path: /counts, port: 8000}, periodSeconds: 1}
        lifecycle:
          postStart: {exec: {command: [sh, -c, 'echo start >> FOLDER/$HOSTNAME']}}
          preStop: {exec: {command: [sh, -c, 'echo stop >> FOLDER/$HOSTNAME; sleep 0.5; exit 7']}}
      - name: sleeper
        image: example/sleeper
        command: [sh, -c, 'while :; do sleep 0.1; done']
        lifecycle: {preStop: {sleep: {seconds: 1}}}
---
apiVersion: v1
kind: Pod
metadata: {name: unwell}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: unready
    image: example/unwell
    command: [sh, -c, 'while :; do sleep 0.1; done']
    readinessProbe: {exec: {command: [sh, -c, 'date +%N; exit 1']}, periodSeconds: 1}
  - name: dying
    image: example/unwell
    command: [sh, -c, 'while :; do sleep 0.1; done']
    livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: unstarted}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: example/unstarted
    command: [sh, -c, 'while :; do sleep 0.1; done']
    lifecycle: {postStart: {exec: {command: [sh, -c, 'echo no such table; exit 3']}}}
"""


@pytest.fixture(scope="module")
def folder(mesh: Mesh) -> Path:
    """What every pod sees and may write to."""
    made = mesh.programs / "hooks"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.fixture(scope="module")
def kubectl(mesh: Mesh, folder: Path) -> Iterator[Kubectl]:
    made = Kubectl(mesh, "hooks")
    made("create", "namespace", "hooks")
    text = HOOKED.replace("PYTHON", sys.executable).replace("PROGRAMS", str(mesh.programs))
    made("apply", "-f", "-", text=text.replace("FOLDER", str(folder)))
    made("rollout", "status", "deploy/hooked", "--timeout=60s")
    yield made
    made("delete", "namespace", "hooks", "--timeout=60s")


def events(kubectl: Kubectl, name: str, reason: str) -> list[tuple[str, int, str, str]]:
    """Container, count, type and message of the Events about a pod."""
    chosen = f"involvedObject.name={name},reason={reason}"
    items: list[dict[str, Any]] = kubectl.get("events", "--field-selector", chosen)["items"]
    told = ((each["involvedObject"]["fieldPath"], each["count"], each["type"], each["message"]) for each in items)
    return sorted((path.partition("{")[2].rstrip("}"), *rest) for path, *rest in told)  # pyright: ignore[reportReturnType]


def test_a_rollout_with_hooks_fails_no_request(kubectl: Kubectl, folder: Path) -> None:
    mesh, answers, done = kubectl.mesh, list[Answer](), threading.Event()
    [old] = kubectl.pods("hooked")

    def ask() -> None:
        while not done.is_set():
            answers.extend(mesh.ask("http://hooked.hooks/", count=200, keep_alive=len(answers) % 400 == 0))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        kubectl("rollout", "restart", "deploy/hooked")
        kubectl("rollout", "status", "deploy/hooked", "--timeout=60s")
        mesh.eventually(lambda: kubectl.run("get", "pod", old).returncode != 0, "the old pod has gone", 60)
    finally:
        done.set()
        asking.join()
    assert {answer.status for answer in answers} == {200}
    [new] = kubectl.pods("hooked")
    assert {each.name: each.read_text() for each in folder.iterdir()} == {old: "start\nstop\n", new: "start\n"}
    stopping = [(name, 1, "Normal", f"Stopping container {name}") for name in ("hooked", "istio-proxy", "sleeper")]
    assert events(kubectl, old, "Killing") == stopping
    assert events(kubectl, old, "FailedPreStopHook") == [
        ("hooked", 1, "Warning", "PreStopHook failed: exit code 7: ")
    ], "it was told though the pod went"


def test_probes_that_fail_are_counted_events(kubectl: Kubectl) -> None:
    def counted(container: str, reason: str) -> int:
        return sum(count for name, count, *_ in events(kubectl, "unwell", reason) if name == container)

    kubectl.mesh.eventually(lambda: counted("unready", "Unhealthy") > 1, "it fails each second", 60)
    kubectl.mesh.eventually(lambda: counted("dying", "Killing") > 0, "its liveness probe fails", 60)
    told = {name: (count, *rest) for name, count, *rest in events(kubectl, "unwell", "Unhealthy")}
    assert len(events(kubectl, "unwell", "Unhealthy")) == 2, "what it says is another thing each time"
    assert told["unready"][1] == "Warning"
    assert str(told["unready"][2]).startswith("Readiness probe failed: exit code 1: ")
    assert str(told["dying"][2]).startswith("Liveness probe failed: exit code 1")
    [(_, _, kind, said)] = events(kubectl, "unwell", "Killing")
    assert (kind, said) == ("Normal", "Container dying failed liveness probe, will be restarted")
    shown = kubectl("describe", "pod", "unwell")
    assert "Readiness probe failed" in shown
    assert "Container dying failed liveness probe, will be restarted" in shown


def test_a_post_start_hook_that_fails_is_told(kubectl: Kubectl) -> None:
    told = "PostStartHook failed: exit code 3: no such table"
    kubectl.mesh.eventually(lambda: told in kubectl("describe", "pod", "unstarted"), "it is described", 60)
    shown = kubectl("describe", "pod", "unstarted")
    assert "FailedPostStartHook" in shown
    assert "Container app failed postStart hook, will be restarted" in shown
    status = kubectl.get("pod", "unstarted")["status"]["containerStatuses"][0]
    assert not status["ready"]
    assert "running" not in status["state"]


def test_kubectl_is_told_what_a_hook_lacks(kubectl: Kubectl) -> None:
    [pod] = [each for each in yaml.safe_load_all(HOOKED) if each["metadata"]["name"] == "unstarted"]
    pod["metadata"]["name"] = "refused"
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {}, "postStart": {"sleep": {"seconds": 31}}}
    refused = kubectl.run("apply", "-f", "-", text=json.dumps(pod))
    assert refused.returncode != 0
    assert b"lifecycle.preStop.exec" in refused.stderr
    assert b"31 is outside 0..1 (terminationGracePeriodSeconds)" in refused.stderr
