"""Starting a mesh on this machine, as `up` and `install` do it: check, start, wait until every pod is ready."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import click

from meshwright.ca.times import CertificateTimes
from meshwright.cli.control import planned_pods
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.pods import PodLine, pods, proxies, refusals
from meshwright.cli.progress import step
from meshwright.processes import preflight
from meshwright.processes.sandbox import Rung
from meshwright.wiring.certificate_settings import CertificateSettingError, times_from
from meshwright.wiring.local_mesh import CannotStartError, LocalMesh
from meshwright.wiring.run_file import CONSOLE_PORT, METRICS_PORT, Forward, RunFile, texts_of

F = TypeVar("F", bound=Callable[..., object])
READY_SECONDS = 120.0
CONSOLE_SECONDS, POLL_SECONDS = 10.0, 0.05
SILENT_SECONDS, SAID_AGAIN_SECONDS = 5.0, 5.0
HTTP_LISTENER, HTTPS_LISTENER = 8080, 8443
API_PORT = 16443


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1, as asked for on the command line; None: after `base`, or the usual one."""

    base: int | None = None
    http: int | None = None
    https: int | None = None
    api: int | None = None
    console: int | None = None
    metrics: int | None = None

    def forwards(self) -> tuple[Forward, ...]:
        """The two of the ingress. Raises UsageFailure when they are the same."""
        http, https = self.http or self.base or 8080, self.https or self._after(1) or 8443
        if http == https:
            raise UsageFailure(f"the ingress cannot take port {http} twice")
        return (Forward("http", http, HTTP_LISTENER), Forward("https", https, HTTPS_LISTENER))

    def run_file(self, rung: Rung | None, profile: str, texts: Sequence[tuple[str, str]]) -> RunFile:
        """What is asked for. Raises UsageFailure."""
        return RunFile(
            rung or "",
            profile,
            self.forwards(),
            texts_of(texts),
            self.api or self._after(2) or API_PORT,
            _certificate_times(),
            self.console or self._after(3) or CONSOLE_PORT,
            self.metrics or self._after(4) or METRICS_PORT,
        )

    def _after(self, offset: int) -> int | None:
        return self.base + offset if self.base else None


def start_options(function: F) -> F:
    """Adds the options for ports and rung; the command gets `port_base`, `http_port` ..., `rung`, `single_uid`."""
    port = click.IntRange(1, 65535)
    for option in reversed(
        (
            click.option(
                "--port-base",
                type=click.IntRange(1024, 65000),
                help="Ports: N, N+1 of the ingress (HTTP, HTTPS), N+2 of the API, N+3 of the console, N+4: /metrics.",
            ),
            click.option("--http-port", type=port, help="Port of the ingress on 127.0.0.1. [default: 8080]"),
            click.option("--https-port", type=port, help="The same for TLS. [default: 8443]"),
            click.option("--api-port", type=port, help="Port of the object API (kubectl). [default: 16443]"),
            click.option("--console-port", type=port, help="Port of the console. [default: 20001]"),
            click.option("--metrics-port", type=port, help="Port of /metrics. [default: 15014]"),
            click.option(
                "--rung", type=click.Choice(["root", "user", "loopback"]), help="Use this rung and no better one."
            ),
            click.option(
                "--single-uid", is_flag=True, help="Rung user: make do with one uid even where there are more."
            ),
        )
    ):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Begun:
    """How a start went: whether every pod is ready, how many findings left something out, what Envoy refused."""

    ready: bool
    left_out: int
    refused: tuple[str, ...]
    seconds: float

    def insist(self) -> None:
        """Raises Failure for what is not as it should be; the mesh goes on."""
        if not self.ready:
            raise Failure("some pods are not ready; the mesh goes on trying (meshwright status, meshwright logs POD)")
        if self.left_out:
            raise Failure(f"{self.left_out} findings left something out (above); the rest serves")
        if self.refused:
            raise Failure("some configuration was refused by Envoy and has no effect (above); the rest serves")


def begin(mesh: LocalMesh, run: RunFile, rung: Rung | None, *, single_uid: bool, detach: bool) -> Begun:
    """Start the mesh, or find that it runs as asked, and wait for its pods; says what it does. Raises Failure."""
    began, left_out = time.monotonic(), 0
    try:
        if mesh.supervisor() is None:
            left_out = _start(mesh, run, rung, single_uid=single_uid)
        else:
            _insist_on_same(mesh, run)
        ready = _wait(mesh)
    except KeyboardInterrupt:
        if detach:
            raise Failure("interrupted; what was started goes on: `meshwright down` stops it") from None
        mesh.stop(purge=False)
        raise Failure("interrupted; the mesh is stopped") from None
    refused = refusals(proxies(mesh))
    for sentence in refused:
        click.echo(f"           {sentence}", err=True)
    return Begun(ready, left_out, tuple(refused), time.monotonic() - began)


def _certificate_times() -> CertificateTimes:
    try:
        return times_from(os.environ)
    except CertificateSettingError as error:
        raise UsageFailure(str(error)) from None


def _start(mesh: LocalMesh, run: RunFile, rung: Rung | None, *, single_uid: bool) -> int:
    """Check and start; how many findings leave something out of the configuration."""
    swept = mesh.sweep()
    if swept:
        click.echo(f"           an earlier mesh had lost its supervisor: {len(swept)} leftovers swept")
    with step("machine checked") as current:
        report = preflight.check(
            [*(each.host_port for each in run.forwards), run.api_port], rung, single_uid=single_uid
        )
        if report.rung is None or report.busy_ports:
            raise Failure(f"this machine cannot start the mesh as it is:\n{report}")
        current.outcome = f"machine checked: {report.reasons[-1]}"
    for fix in report.fixes:
        click.echo(f"           for a better rung: {fix}")
    with step("configuration read") as current:
        current.outcome, left_out = _check(replace(run, rung=report.rung))
    with step("processes started"):
        decided = replace(run, rung=report.rung)
        try:
            mesh.start(decided, report.rung, single_uid=report.single_uid)
        except CannotStartError as error:
            raise Failure(str(error)) from None
    return left_out


def _check(run: RunFile) -> tuple[str, int]:
    """Print what is wrong with the documents; the rest of the mesh starts all the same."""
    from meshwright.documents.render import render
    from meshwright.wiring.image_findings import image_findings
    from meshwright.wiring.loading import load
    from meshwright.wiring.volume_findings import volume_findings

    loaded = load((text.file, text.text) for text in run.texts)
    missing = (*image_findings(loaded.objects, loaded.catalogue), *volume_findings(loaded.objects, run.rung))
    for found in (*loaded.diagnostics, *missing):
        click.echo(render(found, loaded.lines), err=True)
    for sentence in loaded.catalogue_errors:
        click.echo(f"image catalogue: {sentence}", err=True)
    left_out = f", {len(loaded.refused)} findings leave something out (above)" if loaded.refused else ""
    return f"configuration read: {loaded.objects.count} objects{left_out}", len(loaded.refused)


def _insist_on_same(mesh: LocalMesh, run: RunFile) -> None:
    """A mesh that runs already is fine when it is the one that is asked for."""
    kept = mesh.run_file()
    if kept is None or not kept.same_configuration(run):
        raise Failure(
            f"a mesh with other configuration runs in {mesh.data.root}; "
            "stop it with `meshwright down`, or choose another --data and --port-base"
        )
    click.echo(f"the mesh already runs in {mesh.data.root}")


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


def _wait(mesh: LocalMesh) -> bool:
    """Wait until every pod is ready; False when some are not after a while or cannot become so."""
    with step("pods ready") as current:
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
    for pod in seen:
        if not pod.fine:
            click.echo(f"           {pod.name}: {pod.why}", err=True)
    return ready == len(seen) and (bool(seen) or planned_pods(mesh) == 0)


def console_address(mesh: LocalMesh) -> str:
    """Where the console is, and how one logs in. It may be about to start; its port may be another than asked for."""
    end = time.monotonic() + CONSOLE_SECONDS
    while "console" not in mesh.telemetry_ports():
        if time.monotonic() > end:
            return "not up yet (meshwright status)"
        time.sleep(POLL_SECONDS)
    return (
        f"http://localhost:{mesh.telemetry_ports()['console']} (meshwright dashboard prints the address that logs in)"
    )


def stay(mesh: LocalMesh) -> None:
    """Hold the terminal until ^C, TERM, or the end of the mesh; then nothing is left."""
    click.echo("^C stops the mesh")
    stopping = False

    def note(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    while not stopping and mesh.supervisor() is not None:
        time.sleep(0.2)
    with step("stopped"):
        mesh.stop(purge=False)
    if os.isatty(1):
        click.echo("")
