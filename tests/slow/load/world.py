"""A mesh under constant load: the mesh, the load from a pod and through the gateway, the object API."""

import base64
import contextlib
import http.client
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.live.mesh import HANG, Mesh, own_mesh

HERE = Path(__file__).parent
CALLER = "deploy/caller.load"
NETWORKING = "/apis/networking.istio.io/v1/namespaces/load"
SECURITY = "/apis/security.istio.io/v1/namespaces/load"
APPS = "/apis/apps/v1/namespaces/load"
CORE = "/api/v1/namespaces/load"
MERGE = "application/merge-patch+json"
IDLE = 30  # seconds; the API closes connections that were idle for 75


@contextlib.contextmanager
def loaded_mesh(environment: Mapping[str, str] | None = None) -> Generator[Mesh]:
    """A mesh with the workloads of mesh.yaml, up; nothing of it is left afterwards."""
    with own_mesh() as mesh:
        shutil.copytree(
            HERE / "programs",
            mesh.programs,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        text = (HERE / "mesh.yaml").read_text()
        for key, value in {"python": sys.executable, "programs": str(mesh.programs)}.items():
            text = text.replace(f"{{{key}}}", value)
        file = mesh.programs.parent / "load.yaml"
        file.write_text(text)
        mesh.environment.update(environment or {})
        mesh.up([file])
        yield mesh


class Api:
    """The object API over one connection, as the mesh's administrator."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._connection, self._token = self._connected()
        self._used = time.monotonic()
        self.writes = 0

    def _connected(self) -> tuple[http.client.HTTPSConnection, str]:
        """As the kubeconfig says now: roots are exchanged while tests run."""
        config = yaml.safe_load((self._mesh.data / "kubeconfig").read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        place = urlsplit(str(cluster["server"]))
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=HANG, context=context)
        return connection, user["token"]

    def close(self) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request; AssertionError with the status when it is refused."""
        before, self._used = self._used, time.monotonic()
        if self._used - before > IDLE:
            self.close()
            self._connection, self._token = self._connected()
        self.writes += method != "GET"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
        return json.loads(text)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def create(self, path: str, body: Any) -> Any:
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body, MERGE)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    def scale(self, deployment: str, replicas: int) -> None:
        self.patch(f"{APPS}/deployments/{deployment}/scale", {"spec": {"replicas": replicas}})

    def restart(self, path: str) -> None:
        """What `kubectl rollout restart` does."""
        at = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.patch(path, {"spec": {"template": {"metadata": {"annotations": at}}}})

    def rolled_out(self, path: str) -> bool:
        """Whether a Deployment runs what its template says, and nothing else: old pods have gone."""
        found = self.get(path)
        spec, status = found["spec"], found.get("status", {})
        wanted = spec["replicas"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        if status.get("observedGeneration") != found["metadata"]["generation"] or counts != [wanted] * 3:
            return False
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        return sum(pod.startswith(f"{name}-") for pod in self.pods(namespace)) == wanted

    def pods(self, namespace: str = "load") -> list[str]:
        return [pod["metadata"]["name"] for pod in self.get(f"/api/v1/namespaces/{namespace}/pods")["items"]]


IN_MESH = [
    {"name": "h1", "kind": "h1", "port": 8000, "connections": 4, "rate": 10},
    {"name": "h1new", "kind": "h1new", "port": 8000, "connections": 2, "rate": 5},
    {"name": "h2-to-h1", "kind": "h2", "port": 8000, "connections": 2, "rate": 10},
    {"name": "h2", "kind": "h2", "port": 8080, "connections": 4, "rate": 10},
    {"name": "h2new", "kind": "h2new", "port": 8080, "connections": 1, "rate": 5},
    {"name": "grpc", "kind": "grpc", "port": 9000, "connections": 4, "rate": 10},
    {"name": "tcp", "kind": "tcp", "port": 7000, "connections": 6, "rate": 5},
    {"name": "tcpnew", "kind": "tcpnew", "port": 7000, "connections": 2, "rate": 5},
]
SLOW = [
    {"name": "slow h1", "kind": "h1", "port": 8000, "connections": 4, "wait": 1500},
    {"name": "slow h2", "kind": "h2", "port": 8080, "connections": 4, "wait": 1500},
    {"name": "slower h1", "kind": "h1", "port": 8000, "connections": 2, "wait": 7000},  # longer than pods drain
    {"name": "slower h2", "kind": "h2", "port": 8080, "connections": 2, "wait": 7000},
    {"name": "gateway slower", "kind": "h1", "connections": 2, "wait": 7000, "authority": "backend.example.com"},
]
OUTSIDE = [
    {"name": "gateway h1", "kind": "h1", "connections": 3, "rate": 10, "authority": "backend.example.com"},
    {"name": "gateway h1new", "kind": "h1new", "connections": 1, "rate": 5, "authority": "backend.example.com"},
    {"name": "gateway h2", "kind": "h2", "connections": 2, "rate": 10, "authority": "backend.example.com"},
    {"name": "gateway grpc", "kind": "grpc", "connections": 2, "rate": 10, "authority": "calls.example.com"},
]


@dataclass
class Seen:
    """What the load saw, once it has ended."""

    streams: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def requests(self) -> int:
        return sum(stream["requests"] for stream in self.streams.values())

    @property
    def failures(self) -> list[dict[str, Any]]:
        return [
            {"stream": name, **failure} for name, stream in self.streams.items() for failure in stream["failures"]
        ]

    @property
    def failed(self) -> int:
        return sum(stream["failed"] for stream in self.streams.values())

    def table(self) -> str:
        """For people: what was asked, what failed."""
        rows = [
            f"{name:14} {stream['requests']:6} requests, {stream['failed']} failed, "
            f"{stream['reopened']} reopened, {stream['cut']} ended, {stream['versions']}"
            for name, stream in self.streams.items()
        ]
        return "\n".join(rows)


@contextlib.contextmanager
def load(mesh: Mesh, more: list[dict[str, Any]] | None = None) -> Generator[Seen]:
    """The load and `more` streams, from a pod, or through the gateway those with an authority; `Seen` is filled in
    when it has ended.
    """
    streams = [*IN_MESH, *OUTSIDE, *(more or [])]
    stop = mesh.programs.parent / f"stop{time.monotonic_ns()}"
    inside = [{"host": "backend", **each} for each in streams if "authority" not in each]
    outside = [{"host": "127.0.0.1", "port": mesh.host_port, **each} for each in streams if "authority" in each]
    program = [sys.executable, str(mesh.programs / "caller.py")]
    exec_words = [*mesh.program, "exec", "--data", str(mesh.data), CALLER, "--"]
    processes = [
        subprocess.Popen(
            [*words, json.dumps({"stop": str(stop), "streams": chosen})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        for words, chosen in (([*exec_words, *program], inside), (program, outside))
    ]
    seen = Seen()
    try:
        yield seen
    finally:
        stop.write_text("")
        for process in processes:
            out, err = process.communicate(timeout=HANG)
            with contextlib.suppress(ValueError):
                seen.streams.update(json.loads(out.splitlines()[-1] if out else "none"))
            if process.returncode or not out:
                raise AssertionError(f"a caller ended with {process.returncode}: {err}")
        assert seen.streams.keys() == {each["name"] for each in streams}, "every stream has told what it saw"


class Asker:
    """programs/asker.py, in a pod or on the host: holds connections open, and asks when it is told to."""

    def __init__(self, mesh: Mesh, *, outside: bool = False) -> None:
        words = [sys.executable, str(mesh.programs / "asker.py")]
        if outside:
            words += ["127.0.0.1", str(mesh.host_port), "backend.example.com"]
        else:
            words = [
                *mesh.program,
                "exec",
                "--data",
                str(mesh.data),
                CALLER,
                "--",
                *words,
                "backend",
                "8000",
                "backend:8000",
            ]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")

    def ask(self, count: int) -> dict[str, dict[str, int]]:
        """What so many requests saw on each way of asking: how often which answer came. AssertionError where a way
        that keeps its connections had to open one anew.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answers = json.loads(self._process.stdout.readline())
        assert answers.pop("reopened") == 0, "what is asked on open connections is asked on those of the beginning"
        return answers

    def close(self) -> None:
        self._process.communicate(timeout=HANG)


def traced(mesh: Mesh, seen: Seen, most: int = 20) -> str:
    """Every failure with what the proxies' access logs say about it."""
    logs = list((mesh.data / "logs").glob("*istio-proxy*"))
    lines: list[str] = []
    for failure in seen.failures[:most]:
        lines.append(json.dumps(failure))
        for file in logs:
            with contextlib.suppress(OSError):
                lines += [
                    f"    {file.name}: {line}"
                    for line in file.read_text(errors="replace").splitlines()
                    if failure["id"] in line
                ]
    return "\n".join(lines)
