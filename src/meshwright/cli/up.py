"""`meshwright up`."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from meshwright.ca.times import CertificateTimes
from meshwright.cli.control import planned_pods
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option, local_mesh
from meshwright.cli.pods import PodLine, pods, proxies, refusals
from meshwright.cli.progress import step
from meshwright.cli.sources import read_texts
from meshwright.processes import preflight
from meshwright.processes.sandbox import Rung
from meshwright.wiring.certificate_settings import CertificateSettingError, times_from
from meshwright.wiring.local_mesh import (
    DEMO_SAMPLES,
    PROFILES,
    VISITORS,
    CannotStartError,
    LocalMesh,
    profile_texts,
    sample_texts,
)
from meshwright.wiring.run_file import CONSOLE_PORT, METRICS_PORT, Forward, RunFile, texts_of

READY_SECONDS = 120.0
SILENT_SECONDS, SAID_AGAIN_SECONDS = 5.0, 5.0
HTTP_LISTENER, HTTPS_LISTENER = 8080, 8443
API_PORT = 16443
DEMO = "demo"


@click.command("up")
@data_option
@click.option("--detach", is_flag=True, help="Return when the mesh is up; stop it with `meshwright down`.")
@click.option("--profile", type=click.Choice(sorted(PROFILES)), default="default", show_default=True)
@click.option(
    "-f", "--filename", "names", multiple=True, metavar="PATH", help="File, folder, or - for standard input."
)
@click.argument("more", nargs=-1, metavar="[PATH]...")
@click.option(
    "--port-base",
    type=click.IntRange(1024, 65000),
    help="Ports: N and N+1 of the ingress (HTTP, HTTPS), N+2 of the API, N+3 of the console, N+4 of /metrics.",
)
@click.option("--http-port", type=click.IntRange(1, 65535), help="Port of the ingress on 127.0.0.1. [default: 8080]")
@click.option("--https-port", type=click.IntRange(1, 65535), help="The same for TLS. [default: 8443]")
@click.option("--api-port", type=click.IntRange(1, 65535), help="Port of the object API (kubectl). [default: 16443]")
@click.option("--console-port", type=click.IntRange(1, 65535), help="Port of the console. [default: 20001]")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Port of /metrics. [default: 15014]")
@click.option("--no-visitors", "alone", is_flag=True, help="Profile demo: without the visitors.")
@click.option("--rung", type=click.Choice(["root", "user", "loopback"]), help="Use this rung and no better one.")
@click.option("--single-uid", is_flag=True, help="Rung user: make do with one uid even where there are more.")
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    names: Sequence[str],
    more: Sequence[str],
    profile: str,
    port_base: int | None,
    http_port: int | None,
    https_port: int | None,
    api_port: int | None,
    console_port: int | None,
    metrics_port: int | None,
    rung: Rung | None,
    *,
    detach: bool,
    alone: bool,
    single_uid: bool,
) -> None:
    """Start the mesh on this machine, with configuration from files and folders.

    The profile demo without a PATH starts the Bookinfo sample, and visitors who call it.
    """
    mesh = local_mesh(data)
    forwards = _forwards(http_port or port_base or 8080, https_port or (port_base + 1 if port_base else 8443))
    texts = _texts(profile, [*names, *more], visitors=not alone)
    api = api_port or (port_base + 2 if port_base else API_PORT)
    run = RunFile(
        rung or "",
        profile,
        forwards,
        texts_of(texts),
        api,
        _certificate_times(),
        console_port or (port_base + 3 if port_base else CONSOLE_PORT),
        metrics_port or (port_base + 4 if port_base else METRICS_PORT),
    )
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
    _summary(forwards, profile, bookinfo=_is_demo(profile, [*names, *more]), seconds=time.monotonic() - began)
    if not detach:
        _stay(mesh)
    if not ready:
        raise Failure("some pods are not ready; the mesh goes on trying (meshwright status, meshwright logs POD)")
    if left_out:
        raise Failure(f"{left_out} findings left something out (above); the rest serves")
    if refused:
        raise Failure("some configuration was refused by Envoy and has no effect (above); the rest serves")


def _forwards(http: int, https: int) -> tuple[Forward, ...]:
    if http == https:
        raise UsageFailure(f"the ingress cannot take port {http} twice")
    return (Forward("http", http, HTTP_LISTENER), Forward("https", https, HTTPS_LISTENER))


def _certificate_times() -> CertificateTimes:
    try:
        return times_from(os.environ)
    except CertificateSettingError as error:
        raise UsageFailure(str(error)) from None


def _is_demo(profile: str, paths: Sequence[str]) -> bool:
    return profile == DEMO and not paths


def _texts(profile: str, paths: Sequence[str], *, visitors: bool) -> list[tuple[str, str]]:
    own = [(text.file, text.text) for text in read_texts(paths)]
    names = (*DEMO_SAMPLES, VISITORS) if visitors else DEMO_SAMPLES
    samples = sample_texts(names) if _is_demo(profile, paths) else []
    return [*profile_texts(profile), *samples, *own]


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
            time.sleep(0.05)
        ready = sum(pod.fine for pod in seen)
        current.outcome = f"{ready} of {len(seen)} pods ready"
    for pod in seen:
        if not pod.fine:
            click.echo(f"           {pod.name}: {pod.why}", err=True)
    return ready == len(seen) and (bool(seen) or planned_pods(mesh) == 0)


def _summary(forwards: Sequence[Forward], profile: str, *, bookinfo: bool, seconds: float) -> None:
    http = next(each.host_port for each in forwards if each.name == "http")
    click.echo(f"  {seconds:5.1f} s  up (profile {profile})")
    if profile != "minimal":
        click.echo(f"ingress: http://localhost:{http}")
    if bookinfo:
        click.echo(f"Bookinfo: http://localhost:{http}/productpage")


def _stay(mesh: LocalMesh) -> None:
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
