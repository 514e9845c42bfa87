"""Ending what a mesh has left behind, or still has: by identity, never by name.

A process belongs to a data directory when its state files hold its pid with its very start time, or when the
mesh's id stands in its environment. Everything else on the machine is left alone.
"""

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from meshwright.processes import procfs, state
from meshwright.processes.procfs import ProcessId

_ROUNDS = 20
_PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Swept:
    """What was ended and removed."""

    ended: list[ProcessId] = field(default_factory=list[ProcessId])
    removed: list[Path] = field(default_factory=list[Path])
    supervisor: ProcessId | None = None
    """The one that was asked to end everything in order."""

    def words(self) -> list[str]:
        """In the order in which it was done."""
        asked = [] if self.supervisor is None else [f"stopped the mesh (supervisor {self.supervisor.pid})"]
        ended = [f"ended process {process.pid}" for process in self.ended]
        return [*asked, *ended, *(f"removed {path}" for path in self.removed)]


def sweep(data_dir: Path) -> Swept:
    """End every process of this data directory at once and remove its sockets and state.

    Logs, keys and configuration stay. Namespaces, interfaces and rules vanish with the processes.
    """
    data = state.DataDirectory(data_dir.resolve())
    done = sweep_processes(data)
    if (data.root / "id").exists():
        done.removed = _remove_files(data)
    return done


def sweep_processes(data: state.DataDirectory) -> Swept:
    """End the processes of this data directory, without its files; also the state of what ran is forgotten."""
    done = Swept()
    if not (data.root / "id").exists():
        return done
    for _ in range(_ROUNDS):
        found = _processes(data)
        if not found:
            break
        done.ended += [process for process in found if end(process)]
    state.remove_tree(data.run)
    state.remove_tree(data.pods)
    return done


def stop(data_dir: Path, seconds: float = 30.0) -> Swept:
    """Ask the supervisor to stop everything in order, wait, then sweep what is left."""
    data = state.DataDirectory(data_dir.resolve())
    supervisor = _identity(state.read_json(data.supervisor_state))
    asked = supervisor is not None and procfs.alive(supervisor)
    if supervisor is not None and asked:
        _signal(supervisor, signal.SIGTERM, seconds)
    done = sweep(data_dir)
    done.supervisor = supervisor if asked else None
    return done


def sweep_pods(data: state.DataDirectory) -> None:
    """End the pod processes that a killed holder without namespaces left; supervisor and agent stay."""
    for _ in range(_ROUNDS):
        found = procfs.marked_by(state.MARKER, data.mesh_id(), also=state.POD_MARKER)
        if not found:
            return
        for process in found:
            end(process)


def end(process: ProcessId) -> bool:
    """SIGKILL exactly this process and wait for its end; False when it had gone before."""
    return _signal(process, signal.SIGKILL, _PATIENCE_SECONDS)


def _signal(process: ProcessId, number: int, seconds: float) -> bool:
    """Signal a process and wait at most so long for its end. A pidfd cannot be another process meanwhile."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        if not procfs.alive(process):
            return False
        signal.pidfd_send_signal(pidfd, number)
        select.select([pidfd], [], [], seconds)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def _identity(value: dict[str, Any]) -> ProcessId | None:
    pid, started = value.get("pid"), value.get("start_time")
    return ProcessId(pid, started) if isinstance(pid, int) and isinstance(started, int) else None


def _processes(data: state.DataDirectory) -> list[ProcessId]:
    """Living processes of this data directory, the supervisor first so that it starts nothing again."""
    recorded = [state.read_json(data.supervisor_state), state.read_json(data.holder_state)]
    children = recorded[0].get("children")
    if isinstance(children, dict):
        values = cast("Iterable[Any]", children.values())
        recorded += [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]
    known = [process for value in recorded if (process := _identity(value)) is not None and procfs.alive(process)]
    marked = procfs.marked_by(state.MARKER, data.mesh_id())
    ours = _ourselves()
    return [process for process in dict.fromkeys([*known, *marked]) if process.pid not in ours]


def _ourselves() -> set[int]:
    """The calling process and those above it: whoever sweeps does not end itself."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = procfs.parent_of(pid) or 0
    return found


def _remove_files(data: state.DataDirectory) -> list[Path]:
    done: list[Path] = []
    for folder in (data.run, data.pods):
        deadline = time.monotonic() + 2.0
        present = folder.exists() and any(folder.rglob("*"))
        while folder.exists() and time.monotonic() < deadline:
            state.remove_tree(folder)
        if present:
            done.append(folder)
    with suppress(OSError):
        data.run_file.unlink()
    return done


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="meshwright-sweep", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    for line in sweep(parser.parse_args(argv).data).words():
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
