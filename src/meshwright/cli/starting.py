"""Starting a mesh on this machine, as `up` and `install` do it: check, start, wait until every pod is ready."""

import os
import signal
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import click

from meshwright.cli.control import planned_pods
from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import insist_on_place
from meshwright.cli.pods import PodLine, pods, proxies, refusals
from meshwright.cli.start_notes import Notes
from meshwright.cli.start_options import PORTS_OF_BASE
from meshwright.processes import preflight
from meshwright.processes.sandbox import Rung
from meshwright.wiring.local_mesh import CannotStartError, LocalMesh
from meshwright.wiring.run_file import RunFile

READY_SECONDS = 120.0
CONSOLE_SECONDS, POLL_SECONDS = 10.0, 0.05
SILENT_SECONDS, SAID_AGAIN_SECONDS = 5.0, 5.0


@dataclass(frozen=True, slots=True)
class Begun:
    """How a start went: whether every pod is ready, how many findings left something out, what Envoy refused.
    `earlier`: the mesh ran already. `seconds` until all that was there.
    """

    ready: bool
    left_out: int
    refused: tuple[str, ...]
    seconds: float
    earlier: bool

    def insist(self) -> None:
        """Raises Failure for what is not as it should be; the mesh goes on."""
        if not self.ready:
            raise Failure("some pods are not ready; the mesh goes on trying (meshwright status, meshwright logs POD)")
        if self.left_out:
            raise Failure(f"{self.left_out} findings left something out (above); the rest serves")
        if self.refused:
            raise Failure("some configuration was refused by Envoy and has no effect (above); the rest serves")


def begin(mesh: LocalMesh, run: RunFile, rung: Rung | None, notes: Notes, *, single_uid: bool) -> Begun:
    """Start the mesh, or find that it runs as asked, and wait for its pods and its console; says what it does.

    Raises Failure. When it is interrupted, by ^C or TERM, nothing is left of what it has started.
    """
    insist_on_place(mesh)
    began, left_out = time.monotonic(), 0
    earlier = mesh.supervisor() is not None
    try:
        with interruptible():
            if earlier:
                _insist_on_same(mesh, run, notes)
            else:
                left_out = _start(mesh, run, rung, notes, single_uid=single_uid)
            ready = _wait(mesh, notes)
            seconds = time.monotonic() - began
            _wait_for_console(mesh)
    except KeyboardInterrupt:
        if earlier:
            raise Failure("interrupted; the mesh ran before and goes on: `meshwright down` stops it") from None
        _stop_undisturbed(mesh)
        raise Failure("interrupted; the mesh is stopped") from None
    refused = refusals(proxies(mesh))
    notes.trouble(refused)
    return Begun(ready, left_out, tuple(refused), seconds, earlier)


@contextmanager
def interruptible() -> Generator[None]:
    """^C, TERM and the terminal's end raise KeyboardInterrupt inside; who has them ignored (`nohup`) goes on. One
    that comes where nothing can be raised (at the end of an object, or of an event loop), or breaks an event loop so
    that another error comes out, is raised when the block ends.
    """
    heard = False

    def interrupt(*_: object) -> None:
        nonlocal heard
        heard = True
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        try:
            yield
        except Exception:
            if not heard:
                raise
        if heard:
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_undisturbed(mesh: LocalMesh) -> None:
    """Whoever is impatient and presses ^C again does not get half a mesh."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # the question that was interrupted
    click.echo("interrupted: the mesh is being stopped", err=True)
    mesh.stop(purge=False)


def _start(mesh: LocalMesh, run: RunFile, rung: Rung | None, notes: Notes, *, single_uid: bool) -> int:
    """Check and start; how many findings leave something out of the configuration."""
    swept = mesh.sweep().words()
    if swept:
        notes.hint(f"an earlier mesh had lost its supervisor: {len(swept)} leftovers swept")
    with notes.step("machine checked") as current:
        report = preflight.check(
            [*(each.host_port for each in run.forwards), run.api_port], rung, single_uid=single_uid
        )
        if report.rung is None or report.busy_ports:
            told = replace(report, fixes=(*report.fixes, *port_fixes(report.busy_ports)))
            raise Failure(f"this machine cannot start the mesh as it is:\n{told}")
        current.outcome = f"machine checked: {report.reasons[-1]}"
    for fix in report.fixes:
        notes.hint(f"for a better rung: {fix}")
    for busy in preflight.busy_ports([run.console_port, run.metrics_port]):
        what, option = ("the console", "console") if busy.port == run.console_port else ("/metrics", "metrics")
        notes.hint(f"{busy}: {what} takes another one (--{option}-port chooses)")
    with notes.step("configuration read") as current:
        current.outcome, left_out = _check(replace(run, rung=report.rung), notes)
    with notes.step("processes started"):
        decided = replace(run, rung=report.rung)
        try:
            mesh.start(decided, report.rung, single_uid=report.single_uid)
        except CannotStartError as error:
            raise Failure(str(error)) from None
    return left_out


def port_fixes(busy: Sequence[preflight.BusyPort]) -> tuple[str, ...]:
    """How to get by ports that are taken; nothing when none is."""
    owners = sorted({each.data_dir for each in busy if each.data_dir})
    fixes = [f"`meshwright down --data {owner}` stops that mesh" for owner in owners]
    base = preflight.free_base(PORTS_OF_BASE) if busy else None
    if base is not None:
        last = base + PORTS_OF_BASE - 1
        fixes.append(f"take other ports: --port-base {base} ({base} to {last} are free)")
    return tuple(fixes)


def _check(run: RunFile, notes: Notes) -> tuple[str, int]:
    """Print what is wrong with the documents; the rest of the mesh starts all the same."""
    from meshwright.documents.render import as_json, render
    from meshwright.wiring.image_findings import image_findings
    from meshwright.wiring.loading import load
    from meshwright.wiring.volume_findings import volume_findings

    loaded = load((text.file, text.text) for text in run.texts)
    missing = (*image_findings(loaded.objects, loaded.catalogue), *volume_findings(loaded.objects, run.rung))
    for found in (*loaded.diagnostics, *missing):
        notes.findings.append(as_json(found, loaded.lines))
        click.echo(render(found, loaded.lines), err=True)
    for sentence in loaded.catalogue_errors:
        notes.warnings.append(f"image catalogue: {sentence}")
        click.echo(f"image catalogue: {sentence}", err=True)
    left_out = f", {len(loaded.refused)} findings leave something out (above)" if loaded.refused else ""
    return f"configuration read: {loaded.objects.count} objects{left_out}", len(loaded.refused)


def _insist_on_same(mesh: LocalMesh, run: RunFile, notes: Notes) -> None:
    """A mesh that runs already is fine when it is the one that is asked for."""
    kept = mesh.run_file()
    if kept is None or not kept.same_configuration(run):
        raise Failure(
            f"a mesh with other configuration runs in {mesh.data.root}; "
            "stop it with `meshwright down`, or choose another --data and --port-base"
        )
    notes.say(f"the mesh already runs in {mesh.data.root}")


class Patience:
    """Says what is waited for: after `first` (seconds of a monotonic clock), then now and then, if it is another."""

    def __init__(self, first: float) -> None:
        self._next = first
        self._told = ""

    def look(self, seen: Sequence[PodLine], now: float) -> None:
        """Print, in one line, which pods are not ready and why the first of them is not."""
        if now < self._next:
            return
        self._next = now + SAID_AGAIN_SECONDS
        waiting = [pod for pod in seen if not pod.fine]
        first = f"{waiting[0].name}: {waiting[0].why}" if waiting else "the agent: it does not answer yet"
        more = f" (and {len(waiting) - 1} more of {len(seen)} pods)" if len(waiting) > 1 else ""
        if self._told != first + more and (waiting or not seen):
            click.echo(f"           waiting for {first}{more}", err=True)
        self._told = first + more


def _wait(mesh: LocalMesh, notes: Notes) -> bool:
    """Wait until every pod is ready; False when some are not after a while or cannot become so."""
    with notes.step("pods ready") as current:
        end = time.monotonic() + READY_SECONDS
        patience = Patience(time.monotonic() + SILENT_SECONDS)
        seen: list[PodLine] = []
        while time.monotonic() < end:
            seen = pods(mesh)
            patience.look(seen, time.monotonic())
            if not seen and (trouble := mesh.trouble()):
                raise Failure(f"the mesh does not start: {trouble}")
            if all(pod.settled for pod in seen) and (seen or planned_pods(mesh) == 0):
                break
            time.sleep(POLL_SECONDS)
        ready = sum(pod.fine for pod in seen)
        current.outcome = f"{ready} of {len(seen)} pods ready"
    notes.trouble([f"{pod.name}: {pod.why}" for pod in seen if not pod.fine])
    return ready == len(seen) and (bool(seen) or planned_pods(mesh) == 0)


def _wait_for_console(mesh: LocalMesh) -> None:
    """It may be about to start."""
    end = time.monotonic() + CONSOLE_SECONDS
    while "console" not in mesh.telemetry_ports() and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


def console_address(mesh: LocalMesh) -> str:
    """Where the console is, and how one logs in; its port may be another than asked for."""
    port = mesh.telemetry_ports().get("console")
    if port is None:
        return "not up yet (meshwright status)"
    return f"http://localhost:{port} (meshwright dashboard prints the address that logs in)"


def stay(mesh: LocalMesh, notes: Notes) -> None:
    """Hold the terminal until ^C, TERM, or the end of the mesh; then nothing is left."""
    notes.say("^C stops the mesh")
    stopping = False

    def note(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, note)
    while not stopping and mesh.supervisor() is not None:
        time.sleep(0.2)
    with notes.step("stopped"):
        mesh.stop(purge=False)
    if os.isatty(1):
        notes.say("")
