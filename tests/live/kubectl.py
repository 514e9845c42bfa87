"""kubectl as the live tests run it, on a mesh of theirs."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.mesh import HANG, Mesh, free_port

KUBECTL = Path(sys.executable).with_name("kubectl")


@dataclass(frozen=True)
class Kubectl:
    """kubectl in one namespace; "": the one that the words name."""

    mesh: Mesh
    namespace: str

    @property
    def environment(self) -> dict[str, str]:
        switches = {name: value for name, value in os.environ.items() if name.startswith("KUBECTL_")}
        return {"PATH": os.environ["PATH"], "HOME": str(self.mesh.programs), **switches}

    def command(self, *words: str) -> list[str]:
        own = [f"--namespace={self.namespace}"] if self.namespace else []
        return [str(KUBECTL), f"--kubeconfig={self.mesh.data / 'kubeconfig'}", *own, *words]

    def run(self, *words: str, text: str | bytes = b"", **environment: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            self.command(*words),
            input=text.encode() if isinstance(text, str) else text,
            capture_output=True,
            timeout=HANG,
            check=False,
            env=self.environment | environment,
        )

    def __call__(self, *words: str, text: str | bytes = b"", **environment: str) -> str:
        done = self.run(*words, text=text, **environment)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    @contextlib.contextmanager
    def started(self, *words: str) -> Generator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "-o", "json"))

    def pods(self, app: str = "shop") -> list[str]:
        """The pods of a Deployment that are not on their way out."""
        items = self.get("pods", "-l", f"app={app}")["items"]
        return [pod["metadata"]["name"] for pod in items if "deletionTimestamp" not in pod["metadata"]]


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, what: str, port: int) -> Generator[tuple[int, "subprocess.Popen[str]"]]:
    """A local port that leads to a pod's."""
    local = free_port()
    with kubectl.started("port-forward", what, f"{local}:{port}") as process:
        assert process.stdout is not None
        assert f"127.0.0.1:{local}" in process.stdout.readline()
        yield local, process


def ask(port: int) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def kubectl(mesh: Mesh, *words: str, stdin: str = "") -> str:
    """One command, which works; what it said. Its words or documents name the namespace."""
    return Kubectl(mesh, "")(*words, text=stdin)
