"""Everything that a command tells people about a change it tells programs, too."""

import json
import sys
from typing import Any

from tests.live.mesh import Mesh, apply, own_mesh

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: answered, namespace: live}
spec: {host: answered.example.com}
"""
NAME = "DestinationRule live/answered"


def answer(mesh: Mesh, *words: str) -> Any:
    return json.loads(mesh.run(*words, "-o", "json").stdout)


def made(mesh: Mesh) -> int:
    number = apply(mesh, RULE)["change"]
    assert isinstance(number, int)
    return number


def test_changes_are_told_with_their_receipts(mesh: Mesh) -> None:
    first = made(mesh)
    undone = answer(mesh, "undo", str(first), "--wait")
    assert undone["objects"] == [{"object": NAME, "action": "deleted"}]
    assert undone["receipt"]["live"]
    made(mesh)
    deleted = answer(mesh, "delete", "dr/answered", "-n", "live")
    assert deleted["objects"] == [{"object": NAME, "action": "deleted"}]
    assert deleted["change"] == deleted["receipt"]["change"]
    rolled = answer(mesh, "rollback", str(deleted["change"]), "--dry-run")
    assert (rolled["objects"], rolled["change"]) == ([], None)
    differences = answer(mesh, "diff", str(first - 1), str(first))
    assert [(each["object"], each["before"] is None, each["after"]["kind"]) for each in differences] == [
        (NAME, True, "DestinationRule")
    ]


def test_a_program_is_run_and_told(mesh: Mesh) -> None:
    words = ("told", "--port", "8765", "-n", "live", "--dry-run", "-o", "json", "--", sys.executable, "-V")
    told = json.loads(mesh.run("run", *words).stdout)
    assert [each["kind"] for each in told["objects"]] == [
        "ServiceAccount", "Service", "Deployment", "DestinationRule",
    ]  # fmt: skip
    assert (told["change"], told["address"]) == (None, None)


def test_lists_are_told(mesh: Mesh) -> None:
    assert {"name", "what"} == set(answer(mesh, "install", "--list")[0])
    assert answer(mesh, "visitors") == {"on": None}, "this mesh has none"


def test_all_namespaces_are_described(mesh: Mesh) -> None:
    spaces = {each["namespace"] for each in answer(mesh, "describe", "svc", "-A")}
    assert {"live", "istio-system"} <= spaces
    assert mesh.run("describe", "svc", "echo", "-A", check=False).returncode == 2


ENDS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: ends, namespace: live}
spec:
  selector: {matchLabels: {app: ends}}
  template:
    metadata: {labels: {app: ends}}
    spec:
      containers:  # never ready, not even for the moment until it ends
      - {name: main, image: python, command: ["false"], readinessProbe: {exec: {command: ["false"]}}}
"""


def test_pods_are_waited_for(mesh: Mesh) -> None:
    told = answer(mesh, "wait", "deploy/echo-v1", "-n", "live")
    assert (told["object"], told["live"], told["message"]) == (
        "Deployment live/echo-v1", True, "1 of 1 pods are ready",
    )  # fmt: skip
    [pod] = [pod["name"] for pod in mesh.status()["pods"] if pod["name"].startswith("echo-v1-")]
    assert mesh.run("wait", f"pod/{pod.partition('.')[0]}", "-n", "live").stdout.endswith("it is ready\n")
    mesh.run("apply", "-f", "-", stdin=ENDS)
    try:
        mesh.eventually(lambda: "ended with exit code 1" in mesh.run("status").stdout, "it has ended", 60)
        done = mesh.run("wait", "deploy", "ends", "-n", "live", "--timeout", "2s", check=False)
        assert done.returncode == 1
        assert "Deployment live/ends is not ready: 0 of 1 pods are ready; ends-" in done.stderr
        assert "ended with exit code 1" in done.stderr
    finally:
        mesh.run("delete", "deploy/ends", "-n", "live")
    gone = mesh.run("wait", "deploy/nobody", "-n", "live", check=False)
    assert (gone.returncode, gone.stderr.strip()) == (1, "meshwright: deployments.apps/live/nobody is not there")


def test_logs_are_told_line_by_line(mesh: Mesh) -> None:
    mesh.one("http://echo:8000/told-in-json")
    told: list[dict[str, Any]] = []

    def is_told() -> bool:
        said = mesh.run("logs", "deploy/client.live", "-c", "proxy", "-o", "json").stdout
        told[:] = [json.loads(line) for line in said.splitlines()]
        return any("/told-in-json" in each["line"] for each in told)

    mesh.eventually(is_told, "Envoy has written the line, which it does every ten seconds")
    [line, *_] = [each for each in told if "/told-in-json" in each["line"]]
    assert (line["namespace"], line["container"], line["pod"][:7]) == ("live", "istio-proxy", "client-")
    times = [each["time"] for each in told]
    assert times == sorted(times)
    last = json.loads(mesh.run("logs", "deploy/client.live", "-c", "proxy", "--tail", "1", "-o", "json").stdout)
    assert last["pod"] == line["pod"]


def test_a_mesh_comes_and_goes_for_programs() -> None:
    with own_mesh() as own:
        words = ["--detach", "--http-port", str(own.host_port), "--https-port", str(own.host_tls_port)]
        words += ["--api-port", str(own.api_port)]
        first, second = (answer(own, "up", *words) for _ in range(2))
        status = own.status()
        other = own.run("up", *words, "--profile", "minimal", "-o", "json", check=False)
        ended, again = (answer(own, "down") for _ in range(2))
    assert (first["already_running"], second["already_running"], status["profile"]) == (False, True, "default")
    for told in (first, second):
        assert {name: told[name] for name in status.keys() & told.keys() - {"pods"}} == {
            name: value for name, value in status.items() if name in told and name != "pods"
        }
        assert (told["ready"], told["errors"], [pod["ready"] for pod in told["pods"]]) == (True, [], [True])
        assert (told["ports"]["http"], told["ports"]["api"]) == (own.host_port, own.api_port)
        assert told["console"] == f"http://localhost:{told['ports']['console']}", "without the token"
    assert json.loads(other.stdout)["error"].startswith("a mesh with other configuration runs in")
    assert (ended["ran"], len(ended["ended"]), ended["removed"]) == (True, 1, [])
    assert again == {"data": str(own.data), "ran": False, "ended": [], "removed": []}
