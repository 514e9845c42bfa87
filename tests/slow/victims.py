"""Who may be killed or stopped in a running mesh, who writes to it meanwhile, and what must not be lost."""

import base64
import http.client
import json
import os
import secrets
import signal
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshwright.processes import procfs
from tests.live.mesh import HANG, Mesh
from tests.slow.bookinfo import marked, mesh_id, page, pids

NAMESPACE = "default"
RULE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "written", "namespace": NAMESPACE},
}


def kill(process: procfs.ProcessId) -> None:
    """SIGKILL, and wait until it has ended."""
    os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + HANG
    while procfs.alive(process):
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def stopped(*processes: procfs.ProcessId) -> Generator[None]:
    """SIGSTOP for the length of a `with` block; what has ended meanwhile is left alone."""
    for each in processes:
        os.kill(each.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            if procfs.alive(each):
                os.kill(each.pid, signal.SIGCONT)


def ours(mesh: Mesh, name: str) -> procfs.ProcessId:
    """The supervisor or one of its children, as it runs now."""
    found: list[procfs.ProcessId] = []

    def lives() -> bool:
        pid = pids(mesh).get(name)  # for a moment it is between its end and its next start
        process = procfs.identify(pid) if pid is not None else None
        if process is not None:
            found.append(process)
        return bool(found)

    mesh.eventually(lives, f"{name} runs")
    return found[-1]


def in_pods(mesh: Mesh) -> dict[tuple[str, str], procfs.ProcessId]:
    """By deployment and part ("envoy" or "application"): the processes of all pods of one replica."""
    found: dict[tuple[str, str], procfs.ProcessId] = {}
    for process in marked(mesh_id(mesh)):
        folder = Path(f"/proc/{process.pid}")
        try:
            environment, name = (folder / "environ").read_bytes().split(b"\0"), (folder / "comm").read_text()
        except OSError:
            continue
        pod = next((e.partition(b"=")[2].decode() for e in environment if e.startswith(b"MESHWRIGHT_POD=")), "")
        if pod:
            part = "envoy" if name.startswith("envoy") else "application"
            found[pod.partition(".")[0].rsplit("-", 2)[0], part] = process
    return found


def applications(mesh: Mesh) -> dict[str, procfs.ProcessId]:
    """The application of each deployment."""
    return {name: process for (name, part), process in in_pods(mesh).items() if part == "application"}


def healthy(mesh: Mesh) -> bool:
    """The API answers, the page is served, every pod is ready and every proxy runs the newest."""
    try:
        answers = Api(mesh).ask("GET", "/api")[0] == 200
    except (OSError, http.client.HTTPException):
        return False
    done = mesh.run("status", "-o", "json", check=False)
    if not answers or done.returncode != 0 or page(mesh.host_port)[0] != 200:
        return False
    status = json.loads(done.stdout)
    return (
        len(status["proxies"]) == 7
        and all(pod["ready"] for pod in status["pods"])
        and all(proxy["connected"] and proxy["synced"] for proxy in status["proxies"])
    )


def apply_rule(mesh: Mesh, *more: str) -> Any:
    """One change that every sidecar gets, by the command line: the answer, or the exit code where it failed."""
    word = secrets.token_hex(4)
    spec = {"hosts": ["written.example.com"], "http": [{"directResponse": {"status": 200, "body": {"string": word}}}]}
    text = json.dumps({**RULE, "spec": spec})
    done = mesh.run("apply", "-f", "-", "-o", "json", *more, stdin=text, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.returncode


class Api:
    """The object API, as whoever holds the kubeconfig; one connection per request."""

    def __init__(self, mesh: Mesh) -> None:
        config = json.loads((mesh.data / "kubeconfig").read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._headers = {"authorization": f"Bearer {config['users'][0]['user']['token']}"}
        self._port = mesh.api_port

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document; OSError or HTTPException where nobody answers within 5 seconds."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=5, context=self._context)
        try:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            text = json.dumps(body) if body is not None else None
            connection.request(method, path, text, {**self._headers, "content-type": kind})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def change_rule(api: Api, word: str) -> None:
    """Another answer of the rule that `apply_rule` made."""
    http_rules = [{"directResponse": {"status": 200, "body": {"string": word}}}]
    path = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices/{RULE['metadata']['name']}"
    status, _ = api.ask("PATCH", path, {"spec": {"http": http_rules}})
    assert status == 200


@dataclass
class Writer:
    """Creates one object after the other, every fifth a rule for all proxies; knows what was acknowledged."""

    api: Api
    prefix: str
    acknowledged: list[str] = field(default_factory=list[str])
    failed: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"{self.prefix}-{number}"
            try:
                status = self._write(name, number)
            except (OSError, http.client.HTTPException, ValueError):
                self.failed += 1
                time.sleep(0.05)
                continue
            if status in {200, 201}:
                self.acknowledged.append(name)
            else:
                self.failed += 1

    def _write(self, name: str, number: int) -> int:
        if number % 5:
            body: dict[str, Any] = {"metadata": {"name": name}, "data": {"number": str(number)}}
            return self.api.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)[0]
        response = {"directResponse": {"status": 200, "body": {"string": name}}}
        body = {**RULE, "metadata": {"name": name}, "spec": {"hosts": [f"{name}.example.com"], "http": [response]}}
        path = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
        return self.api.ask("POST", path, body)[0]

    def wait_for(self, more: int) -> None:
        """Until so many further writes are acknowledged."""
        goal, end = len(self.acknowledged) + more, time.monotonic() + HANG
        while len(self.acknowledged) < goal:
            assert time.monotonic() < end, "nothing can be written"
            time.sleep(0.01)

    def lost(self) -> set[str]:
        """What was acknowledged and is not there."""
        there: set[str] = set()
        for path in ("/api/v1", "/apis/networking.istio.io/v1"):
            kind = "configmaps" if path == "/api/v1" else "virtualservices"
            status, found = self.api.ask("GET", f"{path}/namespaces/{NAMESPACE}/{kind}")
            assert status == 200
            there |= {item["metadata"]["name"] for item in found["items"]}
        return set(self.acknowledged) - there


@contextmanager
def writing(mesh: Mesh, prefix: str) -> Generator[Writer]:
    """Writes for the length of a `with` block; afterwards all that was acknowledged is there."""
    writer = Writer(Api(mesh), prefix)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        writer.wait_for(5)
        yield writer
    finally:
        writer.ended.set()
        thread.join(HANG)
    assert writer.lost() == set()


def memory(process: procfs.ProcessId) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
