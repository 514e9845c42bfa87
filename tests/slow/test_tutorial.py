"""docs/tutorial.md, typed as it stands there: what every command prints, and its exit code, is what the page says."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.mesh import MESHWRIGHT, PLACE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
STEP = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```sh\n(?P<typed>.*?)```\n```\n(?P<said>.*?)```\n", re.DOTALL)
RUNS_ON = "runs on"
ANYTHING = "…"
# The numbers that differ from run to run: ports of ours, how many proxies, how long it took, which change.
DIFFERS = re.compile(r"(?<=:)\d{4,5}\b|\d+/\d+(?= proxies)|\d+(?:\.\d+)?(?= ms\b)|(?<=change )\d+")
MARK = "the step ended with"
HANG = 120
# What readers do not type: other ports than the usual ones, which may be taken on the machine of the tests.
PROGRAM = """#!/bin/sh
if [ "$1 $2" = "install --set" ]; then shift; exec {meshwright} install --port-base {base} "$@"; fi
exec {meshwright} "$@"
"""


@dataclass(frozen=True)
class Step:
    """What is typed, what it prints, and how it ends."""

    typed: str
    said: str
    mark: str

    @property
    def code(self) -> int:
        return int(self.mark.removeprefix("exit ")) if self.mark.startswith("exit ") else 0


def steps() -> list[Step]:
    text = PAGE.read_text()
    found = [Step(each["typed"], each["said"], each["mark"] or "") for each in STEP.finditer(text)]
    assert len(found) == text.count("```sh\n"), "every command on the page is followed by what it prints"
    return found


def as_expected(said: str, printed: str) -> bool:
    """`…` alone in a line: any lines; in a line: any text. Ports, times and numbers of changes may be others."""
    parts: list[str] = []
    for line in said.splitlines():
        if line.strip() == ANYTHING:
            parts.append(r"(?:.*\n)*?")
        else:
            known = (r"[\d./]+".join(map(re.escape, DIFFERS.split(part))) for part in line.split(ANYTHING))
            parts.append(".*".join(known) + r"\n")
    rest = "" if said.rstrip().endswith(ANYTHING) else r"\Z"
    return re.match("".join(parts) + rest, printed) is not None


def free_ports(count: int) -> int:
    """The first of so many free ports that follow each other."""
    for base in range(41_000, 60_000, 50):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise AssertionError("no free ports")


class Reader:
    """Somebody with a shell in the project's folder, and a mesh of their own."""

    def __init__(self, folder: Path, base: int) -> None:
        self.folder = folder
        self.base = base
        self.data = folder / "mesh"
        (folder / "samples").symlink_to(ROOT / "samples")
        programs = folder / "bin"
        programs.mkdir()
        program = programs / "meshwright"
        program.write_text(PROGRAM.format(meshwright=MESHWRIGHT, base=base))
        program.chmod(0o755)
        here = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{here}:{os.environ['PATH']}",
            "HOME": str(folder),
            "MESHWRIGHT_DATA": str(self.data),
            "PYTHONUNBUFFERED": "1",
        }
        self.shell = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=self.environment,
        )

    def type(self, typed: str) -> tuple[str, int]:
        """What the shell prints, and the exit code of the last command."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        step = self.folder / "step.sh"
        step.write_text(typed)
        alarm = threading.Timer(HANG, self.shell.kill)
        alarm.start()
        try:
            self.shell.stdin.write(f". {step} </dev/null\necho {MARK} $?\n")
            self.shell.stdin.flush()
            printed = ""
            for line in self.shell.stdout:
                if line.startswith(MARK):
                    return printed, int(line.split()[-1])
                printed += line
        finally:
            alarm.cancel()
        raise AssertionError(f"it hangs, or ended the shell: {typed}\n{printed}")

    def console(self) -> int:
        return self.base + 3


@pytest.fixture
def reader() -> Generator[Reader]:
    with tempfile.TemporaryDirectory(prefix="mwt", dir=PLACE) as name:
        folder = Path(name)
        folder.chmod(0o755)
        someone = Reader(folder, free_ports(5))
        try:
            yield someone
        finally:
            someone.shell.kill()
            someone.shell.communicate()
            down = [str(MESHWRIGHT), "down", "--data", str(someone.data), "--purge"]
            subprocess.run(down, check=False, capture_output=True, timeout=HANG)


def page_at(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", "/", headers={"host": f"localhost:{port}"})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def forward(someone: Reader, step: Step) -> None:
    """A command that runs until ^C: the console's page is at the address that it prints."""
    typed = step.typed.replace("20001:20001", f"{someone.console()}:20001").split()
    kubeconfig = {"KUBECONFIG": str(someone.data / "kubeconfig")}
    process = subprocess.Popen(
        typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=someone.environment | kubeconfig,
        cwd=someone.folder,
    )
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        assert as_expected(step.said, printed), printed
        host, _, port = printed.removeprefix("Forwarding from ").partition(" ")[0].rpartition(":")
        assert "<title>" in page_at(host.strip("[]"), int(port))
        assert page_at(host.strip("[]"), int(port)) == page_at("127.0.0.1", someone.console())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(300)
def test_the_tutorial_is_true(reader: Reader) -> None:
    for step in steps():
        if step.mark == RUNS_ON:
            forward(reader, step)
            continue
        printed, code = reader.type(step.typed)
        assert as_expected(step.said, printed), f"{step.typed}\nprinted:\n{printed}\nand the page says:\n{step.said}"
        assert code == step.code, step.typed


@pytest.mark.parametrize(
    ("said", "printed", "is_so"),
    [
        ("change 1\n", "change 22\n", True),
        ("live on 7/7 proxies in 9 ms\n", "live on 8/8 proxies in 12.5 ms\n", True),
        ("http://localhost:8080\n", "http://localhost:41000\n", True),
        ("     10 200\n", "     10 503\n", False),
        ("     50 reviews-v1\n", "     50 reviews-v3\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n…\n", "a\nb\n", True),
        ("…\nb\n", "a\na\nb\n", True),
        ("…c…\n", "abcd\n", True),
        ("a\n", "b\n", False),
    ],
)
def test_pages_are_compared_as_they_say(said: str, printed: str, is_so: bool) -> None:  # noqa: FBT001 - a case
    assert as_expected(said, printed) is is_so
