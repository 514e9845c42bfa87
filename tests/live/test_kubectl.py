"""The whole verb list of the unmodified kubectl on a running mesh, each verb judged by what it did there."""

import contextlib
import json
import os
import pty
import signal
import socket
import sys
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.kubectl import Kubectl, ask, forwarded
from tests.live.mesh import HANG, Mesh

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: kube}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: kube, labels: {app: shop}}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: shop
        image: example/shop
        command: [PYTHON, PROGRAMS/echo.py, "8000"]
        env: [{name: VERSION, value: v1}]
        ports: [{name: http, containerPort: 8000}]
        readinessProbe: {httpGet: {path: /counts, port: 8000}}
"""
SIGN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: kube}
spec:
  hosts: [NAME.example]
  http:
  - directResponse: {status: STATUS, body: {string: TEXT}}
"""


@dataclass(frozen=True)
class Shop(Kubectl):
    """kubectl in the namespace of these tests."""

    def apply_shop(self) -> None:
        text = SHOP.replace("PYTHON", sys.executable).replace("PROGRAMS", str(self.mesh.programs))
        self("apply", "-f", "-", text=text)
        self("rollout", "status", "deploy/shop", "--timeout=60s")

    def version(self) -> str:
        """What the shop says to a client in the mesh."""
        return self.mesh.one("http://shop.kube/").version

    def says(self, name: str) -> tuple[int, str]:
        """What the route of a sign answers to a client in the mesh."""
        answer = self.mesh.one("http://shop.kube/", headers={"host": f"{name}.example"})
        return answer.status, answer.body


def sign(name: str, text: str, status: int = 200) -> str:
    return SIGN.replace("NAME", name).replace("TEXT", text).replace("STATUS", str(status))


@pytest.fixture(scope="module")
def shop(mesh: Mesh) -> Iterator[Shop]:
    kubectl = Shop(mesh, "kube")
    kubectl("create", "namespace", "kube")
    kubectl.apply_shop()
    yield kubectl
    kubectl("delete", "namespace", "kube", "--timeout=60s")


@pytest.fixture
def kubectl(shop: Shop) -> Shop:
    """The shop as it was written, whatever the test before made of it."""
    shop.apply_shop()
    return shop


# ------------------------------------------------------------ writing


def test_apply_both_ways_with_a_conflict(kubectl: Shop) -> None:
    assert "created" in kubectl("apply", "-f", "-", text=sign("apply", "one"))
    kubectl.mesh.eventually(lambda: kubectl.says("apply") == (200, "one"), "the route is in force")
    assert "unchanged" in kubectl("apply", "-f", "-", text=sign("apply", "one"))
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl.run(*other, text=sign("apply", "two"))
    assert refused.returncode == 1
    assert b"conflict with" in refused.stderr
    assert b".spec.http" in refused.stderr
    assert kubectl.says("apply") == (200, "one")
    assert "serverside-applied" in kubectl(*other, "--force-conflicts", text=sign("apply", "two"))
    kubectl.mesh.eventually(lambda: kubectl.says("apply") == (200, "two"), "the other's route is in force")
    managers = {
        each["manager"] for each in kubectl.get("vs", "apply", "--show-managed-fields")["metadata"]["managedFields"]
    }
    assert {"other"} <= managers


def test_diff_says_what_apply_would_do(kubectl: Shop) -> None:
    kubectl("apply", "-f", "-", text=sign("diff", "before"))
    assert kubectl.run("diff", "-f", "-", text=sign("diff", "before")).returncode == 0
    done = kubectl.run("diff", "-f", "-", text=sign("diff", "after"))
    assert done.returncode == 1
    assert b"-        string: before" in done.stdout
    assert b"+        string: after" in done.stdout
    assert kubectl.says("diff") == (200, "before")


def test_patches_of_three_kinds(kubectl: Shop) -> None:
    kubectl("apply", "-f", "-", text=sign("patch", "text"))
    change = [{"op": "replace", "path": "/spec/http/0/directResponse/status", "value": 418}]
    kubectl("patch", "vs", "patch", "--type=json", "-p", json.dumps(change))
    kubectl.mesh.eventually(lambda: kubectl.says("patch") == (418, "text"), "the JSON patch is in force")
    merged = {"spec": {"http": [{"directResponse": {"status": 503, "body": {"string": "merged"}}}]}}
    kubectl("patch", "vs", "patch", "--type=merge", "-p", json.dumps(merged))
    kubectl.mesh.eventually(lambda: kubectl.says("patch") == (503, "merged"), "the merge patch is in force")
    container = {"name": "shop", "env": [{"name": "VERSION", "value": "patched"}]}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kubectl("patch", "deploy", "shop", "-p", json.dumps(template))
    kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    assert kubectl.get("deploy", "shop")["spec"]["template"]["spec"]["containers"][0]["image"] == "example/shop"
    kubectl.mesh.eventually(lambda: kubectl.version() == "patched", "the strategic patch is in force")


def test_labels_and_annotations(kubectl: Shop) -> None:
    [pod] = kubectl.pods()
    kubectl("label", "pod", pod, "shelf=upper")
    assert kubectl("get", "pods", "-l", "shelf=upper", "-o", "name").split() == [f"pod/{pod}"]
    kubectl("annotate", "pod", pod, "note=a b")
    assert kubectl.get("pod", pod)["metadata"]["annotations"]["note"] == "a b"
    # a pod whose label no longer matches is no endpoint any more, and gets a replacement
    kubectl("label", "pod", pod, "app-", "shelf-")
    kubectl.mesh.eventually(lambda: kubectl.pods() not in ([], [pod]), "another pod takes its place")
    kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    kubectl("delete", "pod", pod, "--timeout=60s")
    assert kubectl.version() == "v1"


def test_edit(kubectl: Shop) -> None:
    kubectl("apply", "-f", "-", text=sign("edit", "typed"))
    said = kubectl("edit", "vs", "edit", KUBE_EDITOR="sed -i s/typed/edited/")
    assert "edited" in said
    kubectl.mesh.eventually(lambda: kubectl.says("edit") == (200, "edited"), "what was typed is in force")


def test_scale_starts_and_ends_pods(kubectl: Shop) -> None:
    with kubectl.started("get", "deploy", "shop", "--watch", "--no-headers") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[1] == "1/1"
        kubectl("scale", "deploy/shop", "--replicas=3")
        signal.alarm(HANG)
        while watching.stdout.readline().split()[1] != "3/3":
            pass
        signal.alarm(0)
    hosts = {answer.json["pod"] for answer in kubectl.mesh.ask("http://shop.kube/", count=60)}
    assert hosts == set(kubectl.pods())
    assert len(hosts) == 3
    kubectl("scale", "deploy/shop", "--replicas=1")
    kubectl.mesh.eventually(lambda: len(kubectl.get("pods", "-l", "app=shop")["items"]) == 1, "two pods have gone")
    assert {answer.status for answer in kubectl.mesh.ask("http://shop.kube/", count=20)} == {200}


def test_set_env_rolls_out_and_undo_rolls_back(kubectl: Shop) -> None:
    [before] = kubectl.pods()
    kubectl("set", "env", "deploy/shop", "VERSION=v2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    assert kubectl.version() == "v2"
    history = kubectl("rollout", "history", "deploy/shop").split("\n")
    newest = int(history[-3].split()[0])
    assert "VERSION:\tv2" in kubectl("rollout", "history", "deploy/shop", f"--revision={newest}")
    kubectl("rollout", "undo", "deploy/shop")
    kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    assert kubectl.version() == "v1"
    [undone] = kubectl.pods()
    kubectl("rollout", "restart", "deploy/shop")
    kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    [restarted] = kubectl.pods()
    assert len({before, undone, restarted}) == 3


def test_wait_and_delete(kubectl: Shop) -> None:
    kubectl("wait", "--for=condition=Available", "deploy/shop", "--timeout=60s")
    [pod] = kubectl.pods()
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"pod/{pod}", "--timeout=60s")
    with kubectl.started("wait", "--for=delete", f"pod/{pod}", "--timeout=60s") as waiting:
        assert f'pod "{pod}" deleted' in kubectl("delete", "pod", pod, "--wait=false")
        assert waiting.wait(HANG) == 0
    kubectl("rollout", "status", "deploy/shop", "--timeout=60s")
    kubectl("apply", "-f", "-", text=sign("delete", "here"))
    kubectl.mesh.eventually(lambda: kubectl.says("delete") == (200, "here"), "the route is in force")
    kubectl("delete", "vs", "delete")
    kubectl.mesh.eventually(lambda: "here" not in kubectl.says("delete")[1], "the route has gone")
    assert "NotFound" in kubectl.run("get", "vs", "delete").stderr.decode()


# ------------------------------------------------------------ reading


def test_get_wide_and_describe(kubectl: Shop) -> None:
    [pod] = kubectl.pods()
    told = kubectl.get("pod", pod)
    line = kubectl("get", "pod", pod, "-o", "wide", "--no-headers").split()
    assert line[:3] == [pod, "2/2", "Running"]
    assert {told["status"]["podIP"], told["spec"]["nodeName"]} <= set(line)
    said = kubectl("describe", "pod", pod)
    assert "istio-proxy" in said
    assert "Started container shop" in said
    said = kubectl("describe", "deploy", "shop")
    assert "1 desired | 1 updated | 1 total | 1 available" in said
    assert "ScalingReplicaSet" in said
    assert "Endpoints:" in kubectl("describe", "svc", "shop")


def test_explain_and_api_resources(kubectl: Shop) -> None:
    assert "directResponse" in kubectl("explain", "vs.spec.http")
    assert "terminationGracePeriodSeconds" in kubectl("explain", "pod.spec")
    listed = kubectl("api-resources", "--no-headers")
    for name in ("pods", "deployments", "virtualservices", "destinationrules"):
        assert any(line.split()[0] == name for line in listed.splitlines())


def test_may_i(kubectl: Shop) -> None:
    for verb, kind in (
        ("create", "pods/exec"),
        ("get", "pods/log"),
        ("create", "pods/portforward"),
        ("delete", "vs"),
    ):
        assert kubectl("auth", "can-i", verb, kind).strip() == "yes"


def test_no_log_of_ours_has_tokens_or_commands(kubectl: Shop) -> None:
    kubectl("exec", "deploy/shop", "--", "echo", "a-secret-word")
    token = (kubectl.mesh.data / "api" / "token").read_text().strip()
    for log in (kubectl.mesh.data / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert token not in text
        assert "a-secret-word" not in text


# ------------------------------------------------------------ logs


def test_logs_of_containers_pods_and_deployments(kubectl: Shop) -> None:
    kubectl.mesh.eventually(lambda: len(kubectl.get("pods", "-l", "app=shop")["items"]) == 1, "those of before went")
    [pod] = kubectl.pods()
    listening = kubectl("logs", pod)
    assert listening.count("listening") == 1
    assert kubectl("logs", "deploy/shop") == listening
    assert kubectl("logs", "-l", "app=shop") == listening
    stamped = kubectl("logs", pod, "--timestamps")
    assert stamped.split(" ", 1)[1] == listening
    assert kubectl("logs", pod, "--since=1h") == listening
    assert kubectl("logs", pod, "--tail=0") == ""
    assert kubectl("logs", pod, "--limit-bytes=5") == listening[:5]
    kubectl("logs", pod, "-c", "istio-proxy")
    everything = kubectl("logs", pod, "--all-containers", "--prefix")
    assert f"[pod/{pod}/shop] {listening}" in everything
    refused = kubectl.run("logs", pod, "--previous")
    assert b'previous terminated container "shop"' in refused.stderr


def test_logs_are_followed_until_the_container_ends(kubectl: Shop) -> None:
    text = SHOP.replace("shop", "crier").replace("PYTHON", "sh").replace("PROGRAMS/echo.py", "-c")
    script = "n=0; while [ $n -lt 5 ]; do n=$((n+1)); echo line $n; sleep 0.2; done; exit 3"
    text = text.replace('"8000"', json.dumps(script)).replace("readinessProbe", "# readinessProbe")
    kubectl("apply", "-f", "-", text=text)
    try:
        kubectl.mesh.eventually(lambda: kubectl.run("logs", "deploy/crier").returncode == 0, "it has begun")
        kubectl.mesh.eventually(
            lambda: kubectl.run("logs", "deploy/crier", "--previous").stdout.endswith(b"line 5\n"), "it ended once"
        )
        said = kubectl("logs", "deploy/crier", "--previous")
        assert said == "".join(f"line {number}\n" for number in range(1, 6))
        kubectl.mesh.eventually(
            lambda: "line 5" in kubectl("logs", "-f", "deploy/crier").splitlines(), "one life is followed to its end"
        )
        [pod] = kubectl.get("pods", "-l", "app=crier")["items"]
        [status] = pod["status"]["containerStatuses"]
        assert status["lastState"]["terminated"]["exitCode"] == 3
    finally:
        kubectl("delete", "deploy/crier", "svc/crier", "--timeout=60s")


# ------------------------------------------------------------ exec and cp


def test_exec_with_input_output_and_exit_codes(kubectl: Shop) -> None:
    done = kubectl.run("exec", "deploy/shop", "--", "sh", "-c", "echo $VERSION; echo err >&2; exit 9")
    assert done.returncode == 9
    assert done.stdout == b"v1\n", "the container's own environment"
    assert b"err\n" in done.stderr
    sent = os.urandom(1_000_000)
    done = kubectl.run("exec", "-i", "deploy/shop", "--", "cat", text=sent)
    assert (done.returncode, done.stdout) == (0, sent)
    assert b"not found" in kubectl.run("exec", "deploy/shop", "--", "no-such-program").stderr
    done = kubectl.run("exec", "deploy/shop", "-c", "istio-proxy", "--", "ls", "/run/meshwright")
    assert b"bootstrap.json" in done.stdout or kubectl.mesh.wrapper


def sleeping(kubectl: Shop) -> bool:
    """Whether the sleep runs in the shop's pod."""
    script = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $each; echo; done 2>/dev/null"
    lines = kubectl.run("exec", "deploy/shop", "--", "sh", "-c", script).stdout.splitlines()
    return any(line.startswith(b"sleep 900") for line in lines)


def test_exec_with_a_terminal(kubectl: Shop) -> None:
    words = kubectl.command("exec", "-it", "deploy/shop", "--", "sh")
    pid, outer = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, kubectl.environment)
    signal.alarm(HANG)
    try:
        termios.tcsetwinsize(outer, (33, 99))
        os.kill(pid, signal.SIGWINCH)
        for typed, awaited in (
            (b"", b"$ "),
            (b"echo $((6*7)) > /dev/tty\r", b"\n42\r\n$ "),
            (b"while test \"$(stty size)\" != '33 99'; do sleep 0.1; done; echo si''zed\r", b"sized\r\n$ "),
            (b"sleep 900\r", b"900\r\n"),
        ):
            os.write(outer, typed)
            said = b""
            while awaited not in said:
                said += os.read(outer, 65536)
        kubectl.mesh.eventually(lambda: sleeping(kubectl), "the sleep has begun")
        os.write(outer, b"\x03")  # ^C ends the sleep, not the shell
        kubectl.mesh.eventually(lambda: not sleeping(kubectl), "the sleep has ended")
        os.write(outer, b"exit 5\r")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 5
    finally:
        signal.alarm(0)
        os.close(outer)


def test_cp_both_ways(kubectl: Shop, tmp_path: Path) -> None:
    [pod] = kubectl.pods()
    sent = os.urandom(20_000_000)
    (tmp_path / "sent").write_bytes(sent)
    kubectl("cp", str(tmp_path / "sent"), f"{pod}:/tmp/there")
    assert kubectl("exec", pod, "--", "wc", "-c", "/tmp/there").split()[0] == "20000000"
    kubectl("cp", f"{pod}:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == sent
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    (folder / "file").write_text("text")
    kubectl("cp", str(tmp_path / "folder"), f"{pod}:/tmp")
    assert kubectl("exec", pod, "--", "cat", "/tmp/folder/inner/file") == "text"


# ------------------------------------------------------------ port-forward


def note(port: int, answers: list[str]) -> None:
    answers.append(ask(port)["pod"])


def test_port_forward_to_pods_deployments_and_services(kubectl: Shop) -> None:
    [pod] = kubectl.pods()
    for what, port in ((f"pod/{pod}", 8000), ("deploy/shop", 8000), ("svc/shop", 80)):
        with forwarded(kubectl, what, port) as (local, _):
            assert ask(local)["pod"] == pod
            answers: list[str] = []
            threads = [threading.Thread(target=note, args=(local, answers)) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(HANG)
            assert answers == [pod] * 10


def test_clients_without_web_sockets_use_spdy(kubectl: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What kubectl was before it had WebSockets; both switches make it speak SPDY to the server itself."""
    old = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
    done = kubectl.run("exec", "deploy/shop", "--", "sh", "-c", "echo out; echo err >&2; exit 9", **old)
    assert (done.returncode, done.stdout) == (9, b"out\n")
    assert b"err\n" in done.stderr
    sent = os.urandom(5_000_000)
    done = kubectl.run("exec", "-i", "deploy/shop", "--", "cat", text=sent, **old)
    assert (done.returncode, done.stdout) == (0, sent)
    assert b"is not valid for pod" in kubectl.run("exec", "deploy/shop", "-c", "none", "--", "ls", **old).stderr
    monkeypatch.setenv("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")
    with forwarded(kubectl, "svc/shop", 80) as (local, _):
        assert ask(local)["pod"] in kubectl.pods()


def test_port_forward_carries_half_closed_connections(kubectl: Shop) -> None:
    with forwarded(kubectl, "deploy/shop", 8000) as (local, _), socket.create_connection(("127.0.0.1", local)) as raw:
        raw.settimeout(30)
        raw.sendall(b"GET /counts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        said = b""
        while piece := raw.recv(65536):
            said += piece
        assert said.startswith(b"HTTP/1.1 200")


def test_port_forward_to_a_port_where_nobody_listens(kubectl: Shop) -> None:
    with forwarded(kubectl, "deploy/shop", 9999) as (local, process):
        with socket.create_connection(("127.0.0.1", local)) as raw:
            raw.settimeout(30)
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b""
        assert process.wait(HANG) == 1
        assert process.stdout is not None
        assert "Connection refused" in process.stdout.read()
