"""The supervisor: starts forwarder, holder and what the run file lists (agent, control plane) and keeps them up.

`python -m meshwright.processes supervisor --data DIR [--detach]` reads DIR/run.json. SIGTERM stops everything in
reverse order. If the supervisor itself is killed, the others go on carrying traffic; the next one ends them and
starts anew. With --detach the command returns when everything has been started, or with the reason why not.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from meshwright.processes import procfs, state, sweep, syscalls
from meshwright.processes.journal import log
from meshwright.processes.procfs import ProcessId
from meshwright.processes.runplan import ChildPlan, RunPlan

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_HEALTHY_SECONDS = 10.0


class NotStarted(Exception):  # noqa: N818 - it names the outcome
    """A process could not be started at all; the text says why."""


@dataclass(slots=True)
class Supervised:
    """One child that is to run for ever. `start` returns its pid; `process` is None while it does not run."""

    name: str
    start: Callable[[], int]
    stop_seconds: float
    process: ProcessId | None = None
    started_at: float = 0.0
    pause: float = _SHORTEST_PAUSE
    due: float = 0.0
    restarts: int = field(default=-1)


class Supervisor:
    """All children of one mesh, in the order of their start."""

    def __init__(self, data: state.DataDirectory, plan: RunPlan) -> None:
        self._data = data
        self._plan = plan
        self._env = {**os.environ, state.MARKER: data.mesh_id()}
        self._children = [
            Supervised("forwarder", self._start_forwarder, 3.0),
            Supervised("holder", self._start_holder, 15.0),
            *(Supervised(child.name, self._starter(child), child.stop_seconds) for child in plan.children),
        ]

    def run(self, ready: Callable[[], None]) -> None:
        """Start all, call `ready`, watch until SIGTERM or SIGINT, stop all. NotStarted when the first start fails."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        syscalls.become_subreaper()
        try:
            for child in self._children:
                self._start(child)
            self._save()
            ready()
            self._watch()
        finally:
            self._stop()

    def _watch(self) -> None:
        while True:
            due = min((child.due for child in self._children if child.process is None), default=None)
            wait = 3600.0 if due is None else max(0.0, due - time.monotonic())
            received = signal.sigtimedwait(_SIGNALS, wait)
            if received is not None and received.si_signo in {signal.SIGTERM, signal.SIGINT}:
                return
            self._reap()
            self._restart()

    def _reap(self) -> None:
        for pid, status in procfs.ended_children():
            for child in self._children:
                if child.process is not None and child.process.pid == pid:
                    self._note_end(child, status)

    def _note_end(self, child: Supervised, status: int) -> None:
        now = time.monotonic()
        healthy = now - child.started_at >= _HEALTHY_SECONDS
        child.pause = _SHORTEST_PAUSE if healthy else min(child.pause * 2, _LONGEST_PAUSE)
        child.process = None
        child.due = now + child.pause
        log("a process ended", name=child.name, status=os.waitstatus_to_exitcode(status), again_in=child.pause)

    def _restart(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now:
                try:
                    self._start(child)
                except NotStarted as error:
                    child.pause = min(child.pause * 2, _LONGEST_PAUSE)
                    child.due = time.monotonic() + child.pause
                    log("a process could not be started", name=child.name, why=str(error), again_in=child.pause)
        self._save()

    def _start(self, child: Supervised) -> None:
        try:
            pid = child.start()
        except OSError as error:
            raise NotStarted(f"{child.name}: {error}") from None
        child.process = ProcessId(pid, procfs.start_time(pid) or 0)
        child.started_at = time.monotonic()
        child.restarts += 1
        log("started", name=child.name, pid=pid)

    def _save(self) -> None:
        own = procfs.identify(os.getpid())
        state.write_json(
            self._data.supervisor_state,
            {
                "mesh": self._data.mesh_id(),
                "rung": self._plan.rung,
                "pid": os.getpid(),
                "start_time": own.start_time if own else 0,
                "children": {
                    child.name: {
                        "pid": child.process.pid,
                        "start_time": child.process.start_time,
                        "restarts": child.restarts,
                    }
                    for child in self._children
                    if child.process is not None
                },
            },
        )

    def _spawn(self, name: str, argv: tuple[str, ...], env: dict[str, str], cwd: str | None = None) -> int:
        """Start a program of ours with its output in the logs; its pid."""
        with (self._data.logs / f"{name}.log").open("ab") as output:
            os.fchmod(output.fileno(), 0o600)
            process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_unblock_signals,  # noqa: PLW1509 - there are no threads here
            )
        # A Popen that nobody keeps collects its own child, and `_reap` would never learn that this one has ended.
        process.returncode = 0
        return process.pid

    def _ours(self, name: str, *options: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "meshwright.processes", name, "--data", str(self._data.root), *options)

    def _start_forwarder(self) -> int:
        return self._spawn("forwarder", self._ours("forwarder"), self._env)

    def _start_holder(self) -> int:
        """The command makes the sandbox and ends; the holder is then ours, because orphans come to a subreaper."""
        if self._plan.rung == "loopback":
            sweep.sweep_pods(self._data)
        self._data.holder_state.unlink(missing_ok=True)
        options = ("--rung", self._plan.rung, "--subnet", self._plan.subnet)
        pid = self._spawn(
            "holder", self._ours("holder", *options, *(("--single-uid",) if self._plan.single_uid else ())), self._env
        )
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise NotStarted(f"holder: {self._last_line('holder')}")
        return int(state.read_json(self._data.holder_state)["pid"])

    def _last_line(self, name: str) -> str:
        text = (self._data.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()
        return text.splitlines()[-1] if text else "it ended without a word"

    def _starter(self, child: ChildPlan) -> Callable[[], int]:
        return lambda: self._spawn(child.name, child.argv, {**self._env, **child.env}, child.cwd or None)

    def _stop(self) -> None:
        for child in reversed(self._children):
            if child.process is not None:
                self._stop_one(child.process, child.stop_seconds)
                log("stopped", name=child.name)
        for line in sweep.sweep(self._data.root).words():
            log(line)

    def _stop_one(self, process: ProcessId, seconds: float) -> None:
        """SIGTERM, wait, SIGKILL; as its parent we also collect it."""
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + patience
            while (left := deadline - time.monotonic()) > 0:
                try:
                    if os.waitpid(process.pid, os.WNOHANG)[0] != 0:
                        return
                except ChildProcessError:
                    return
                signal.sigtimedwait((signal.SIGCHLD,), min(left, 1.0))


def _unblock_signals() -> None:
    """A blocked signal stays blocked over exec: give the child a fresh mask."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _detach(log_file: Path) -> int:
    """Go on in the background. In the caller: wait for the outcome and exit; in the daemon: where to report it."""
    outcome, report = os.pipe()
    if os.fork() != 0:
        os.close(report)
        said = b"".join(iter(lambda: os.read(outcome, 4096), b"")).decode(errors="replace")
        if said != "ready":
            sys.stderr.write(f"{said or f'the supervisor ended; see {log_file}'}\n")
        os._exit(0 if said == "ready" else 1)
    os.close(outcome)
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    output = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir("/")
    return report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="meshwright-supervisor", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detach", action="store_true")
    given = parser.parse_args(argv)
    data = state.DataDirectory(given.data.resolve())
    data.prepare()
    report = _detach(data.logs / "supervisor.log") if given.detach else None
    why = _run(data, report)
    if why:
        if report is not None:
            os.write(report, why.encode())
        sys.stderr.write(why + "\n")
    return 1 if why else 0


def _run(data: state.DataDirectory, report: int | None) -> str:
    """Be the supervisor until the end; why it could not be, "" after an orderly stop."""
    lock = state.try_lock(data)
    if lock is None:
        return f"a mesh already runs in {data.root}; stop it with `meshwright down` or choose another --data"

    def ready() -> None:
        if report is not None:
            os.write(report, b"ready")
            os.close(report)

    try:
        plan = RunPlan.read(data.run_file)
        for line in sweep.sweep_processes(data).words():
            log(line)
        data.prepare()
        Supervisor(data, plan).run(ready)
    except (NotStarted, ValueError) as error:
        return str(error)
    finally:
        os.close(lock)
    return ""


if __name__ == "__main__":
    sys.exit(main())
