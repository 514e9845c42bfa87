"""The mesh of one data directory, as the command line starts, finds and ends it."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

from meshwright.processes import procfs, state, sweep
from meshwright.processes.procfs import ProcessId
from meshwright.processes.runplan import ChildPlan, RunPlan
from meshwright.processes.sandbox import Rung
from meshwright.processes.state import DataDirectory
from meshwright.processes.sweep import Swept
from meshwright.wiring.run_file import RunFile, read_run_file, write_run_file

PROFILES: Mapping[str, tuple[str, ...]] = {
    "minimal": ("minimal",),
    "default": ("minimal", "default"),
    "demo": ("minimal", "default", "demo"),
}
VISITORS = "visitors/visitors.yaml"
DEMO_SAMPLES = ("bookinfo/platform/kube/bookinfo.yaml", "bookinfo/networking/bookinfo-gateway.yaml")
CHILDREN: Mapping[str, str] = {
    "control-plane": "meshwright.wiring.control_plane",
    "agent": "meshwright.wiring.agent_process",
    "telemetry": "meshwright.wiring.telemetry_process",
}
"""What the supervisor keeps running beside holder and forwarder: name -> module."""
CHILD_STOP_SECONDS = 10.0
MANY_RESTARTS = 3


class CannotStartError(Exception):
    """The processes could not be started; the text says why."""


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """$MESHWRIGHT_DATA, else $XDG_STATE_HOME/meshwright, else ~/.local/state/meshwright."""
    if chosen := environment.get("MESHWRIGHT_DATA"):
        return Path(chosen)
    base = environment.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "meshwright"


def profile_texts(profile: str) -> list[tuple[str, str]]:
    """The texts of a profile as (file name, text)."""
    folder = files("meshwright.wiring").joinpath("profiles")
    return [(f"profile {name}", folder.joinpath(f"{name}.yaml").read_text()) for name in PROFILES[profile]]


def sample_texts(names: Iterable[str] = DEMO_SAMPLES) -> list[tuple[str, str]]:
    """Texts of shipped samples by their path below samples/."""
    folder = samples_folder()
    return [(f"samples/{name}", (folder / name).read_text()) for name in names]


def samples_folder() -> Path:
    """Where the samples are: inside an installed package, or beside the source tree."""
    package = Path(str(files("meshwright")))
    inside = package / "samples"
    return inside if inside.is_dir() else package.parents[1] / "samples"


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """One data directory."""

    data: DataDirectory

    @classmethod
    def at(cls, path: Path) -> "LocalMesh":
        return cls(DataDirectory(path.resolve()))

    @property
    def mesh_socket(self) -> Path:
        """Where the living mesh takes changes and answers questions."""
        return self.data.run / "mesh.sock"

    def supervisor(self) -> ProcessId | None:
        """The running supervisor, or None."""
        kept = state.read_json(self.data.supervisor_state)
        pid, started = kept.get("pid"), kept.get("start_time")
        if not isinstance(pid, int) or not isinstance(started, int):
            return None
        identity = ProcessId(pid, started)
        return identity if procfs.alive(identity) else None

    def run_file(self) -> RunFile | None:
        """What the last `up` decided."""
        return read_run_file(self.data.root)

    def single_uid(self) -> bool:
        """Whether all pods of what was last started share one uid."""
        try:
            return RunPlan.read(self.data.run_file).single_uid
        except (OSError, ValueError):
            return False

    def start(self, run: RunFile, rung: Rung, *, single_uid: bool) -> None:
        """Start supervisor, holder, forwarder, control plane and agent in the background. Raises CannotStartError."""
        try:
            self.data.prepare()
            write_run_file(self.data.root, run)
        except OSError as error:
            raise CannotStartError(
                f"{self.data.root} cannot be the data directory: {error.strerror}; name another one with --data"
            ) from None
        children = tuple(
            ChildPlan(
                name=name,
                argv=(sys.executable, "-m", module, "--data", str(self.data.root)),
                env={},
                stop_seconds=CHILD_STOP_SECONDS,
            )
            for name, module in CHILDREN.items()
        )
        RunPlan(rung, single_uid=single_uid, children=children).write(self.data.run_file)
        command = [
            sys.executable,
            "-m",
            "meshwright.processes",
            "supervisor",
            "--data",
            str(self.data.root),
            "--detach",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise CannotStartError(done.stderr.strip() or done.stdout.strip())

    def trouble(self) -> str:
        """The last words of a supervisor that has ended, or of a process that keeps ending; "" while all is well."""
        if self.supervisor() is None:
            return _last_words(self.data.logs / "supervisor.log")
        kept: object = state.read_json(self.data.supervisor_state).get("children")
        children = cast("dict[str, dict[str, object]]", kept) if isinstance(kept, dict) else {}
        for name in CHILDREN:
            restarts = children.get(name, {}).get("restarts")
            if isinstance(restarts, int) and restarts >= MANY_RESTARTS:
                return _last_words(self.data.logs / f"{name}.log")
        return ""

    def telemetry_ports(self) -> Mapping[str, int]:
        """Ports of `console` and `metrics` as they are really used; empty while nobody serves them."""
        kept = state.read_json(self.data.run / "telemetry.json")
        return {name: port for name, port in kept.items() if isinstance(port, int)}

    def console_token(self) -> str:
        """What logs in to the console; "" before its first start."""
        path = self.data.console_token
        return path.read_text().strip() if path.exists() else ""

    def sweep(self) -> Swept:
        """End what a mesh without its supervisor left running."""
        return sweep.sweep(self.data.root) if self.data.root.exists() else Swept()

    def stop(self, *, purge: bool) -> Swept:
        """End everything in order; with `purge` the data directory goes too, and is among what was `removed` unless
        something of it could not be.
        """
        if not self.data.root.exists():
            return Swept()
        done = sweep.stop(self.data.root)
        if purge:
            shutil.rmtree(self.data.root, ignore_errors=True)
            if not self.data.root.exists():
                done.removed.append(self.data.root)
        return done

    def memory(self) -> Mapping[str, float]:
        """MiB (proportional set size) of each process of ours by name; Envoys and applications are not ours."""
        if not (self.data.root / "id").exists():
            return {}
        mesh_id = self.data.mesh_id()
        in_pods = set(procfs.marked_by(state.MARKER, mesh_id, also=state.POD_MARKER))
        ours = [process.pid for process in procfs.marked_by(state.MARKER, mesh_id) if process not in in_pods]
        supervisor = self.supervisor()
        pids = {pid: _process_name(pid) for pid in ours}
        if supervisor is not None:
            pids[supervisor.pid] = "supervisor"
        return {name: _pss(pid) for pid, name in sorted(pids.items(), key=lambda pair: pair[1]) if name}


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1] if lines else 'it says nothing'} (see {log})"


def _process_name(pid: int) -> str:
    """Which of our programs a process is: the word after `python -m`; "" when it is none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if module == "meshwright.processes":
        return words[words.index(module) + 1]
    ours = next((name for name, path in CHILDREN.items() if path == module), "")
    return ours or module.rpartition(".")[2]


def _pss(pid: int) -> float:
    """Proportional set size in MiB; 0 when the process cannot be seen."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    kib = next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return kib / 1024
