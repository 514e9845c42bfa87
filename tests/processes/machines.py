"""Meshes of tests: who runs them, where their files are, and what must be left of them afterwards (nothing)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.processes import procfs, state, sweep
from meshwright.processes.preflight import find_tool
from meshwright.processes.sandbox import Rung
from tests.undertaker import mark

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534


@dataclass(frozen=True, slots=True)
class Person:
    """Who runs a mesh: a uid, and a rung with or without subordinate uids."""

    name: str
    uid: int
    rung: Rung
    single_uid: bool = False

    def command(self, *argv: str) -> list[str]:
        """The command line that runs `argv` as this person."""
        if self.uid == os.geteuid():
            return list(argv)
        identity = ("--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups")
        return [*_need("setpriv"), *identity, *argv]


def _need(tool: str) -> list[str]:
    path = find_tool(tool)
    assert path is not None, f"this test needs the program {tool}, which is not installed"
    return [str(path)]


@dataclass(frozen=True, slots=True)
class Machine:
    """A copy of the code and a folder that a person may use; `python` is one that the person can execute."""

    person: Person
    folder: Path
    code: Path
    python: str

    @property
    def data(self) -> state.DataDirectory:
        return state.DataDirectory(self.folder / "d")

    def env(self) -> dict[str, str]:
        # The PATH of an ordinary user: the system's programs in sbin have to be found all the same.
        own = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self.code), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        return own | mark()

    def run(self, *argv: str, check: bool = True, timeout: float = 40) -> subprocess.CompletedProcess[str]:
        """Run a program as the person."""
        command = self.person.command(*argv)
        done = subprocess.run(
            command, env=self.env(), cwd="/", capture_output=True, text=True, timeout=timeout, check=False
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}\n{self.logs()}"
        return done

    def process(self, name: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of our processes to its end."""
        return self.run(self.python, "-m", "meshwright.processes", name, *options, check=check)

    def up(self, children: tuple[dict[str, Any], ...] = ()) -> None:
        """Start a mesh in the background."""
        plan = {"rung": self.person.rung, "single_uid": self.person.single_uid, "children": list(children)}
        path = self.data.run_file
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(json.dumps(plan))
        for item in (path.parent, path):
            os.chown(item, self.person.uid, self.person.uid)
        self.process("supervisor", "--data", str(self.data.root), "--detach")

    def scenario(self, name: str, *arguments: object) -> Any:
        """Run a function of scenarios.py as the person, who alone may talk to the holder; what it returned."""
        texts = [json.dumps(argument) for argument in arguments]
        done = self.run(self.python, "-m", "processes_tests.scenarios", str(self.data.root), name, *texts)
        return json.loads(done.stdout.splitlines()[-1])

    def down(self) -> list[str]:
        return sweep.stop(self.data.root).words()

    def pids(self) -> dict[str, int]:
        """The pids of supervisor and children."""
        saved = state.read_json(self.data.supervisor_state)
        return {"supervisor": saved["pid"], **{name: child["pid"] for name, child in saved["children"].items()}}

    def marked(self) -> list[procfs.ProcessId]:
        """Every process of this mesh that runs, as far as its environment says so."""
        return procfs.marked_by(state.MARKER, self.data.mesh_id())

    def logs(self) -> str:
        files = sorted(self.data.logs.glob("*.log")) if self.data.logs.exists() else []
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)


def interpreter() -> str:
    """The Python under the virtual environment: one that other users can execute."""
    python = os.path.realpath(sys.executable)
    for ancestor in Path(python).parents:
        if not ancestor.stat().st_mode & 0o001:
            assert Path("/usr/bin/python3").exists(), f"{python} is out of other users' reach and there is no other"
            return "/usr/bin/python3"
    return python


def make_machine(person: Person) -> Machine:
    """A folder with a copy of the code, for one mesh. The name is short: socket addresses hold 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="mwp"))
    folder.chmod(0o755)
    code = folder / "code"
    package = code / "meshwright"
    hide = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/meshwright/processes", package / "processes", ignore=hide)
    shutil.copy(ROOT / "src/meshwright/__init__.py", package)
    shutil.copytree(Path(__file__).parent, code / "processes_tests", ignore=hide)
    home = folder / "home"
    home.mkdir()
    for path in (home, home / "d"):
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, person.uid, person.uid)
    return Machine(person, home, code, interpreter())


def remove_machine(machine: Machine) -> None:
    """Stop what runs and remove the folder."""
    machine.down()
    shutil.rmtree(machine.folder.parent, ignore_errors=True)


def eventually(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    """Wait until a condition holds; a guard against hanging, not a measurement."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.02)
