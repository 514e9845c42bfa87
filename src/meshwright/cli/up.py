"""`meshwright up`."""

from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.answer import JSON, give_json
from meshwright.cli.mesh_option import data_option, local_mesh
from meshwright.cli.sources import read_texts
from meshwright.cli.start_notes import Notes
from meshwright.cli.start_options import Ports, start_options
from meshwright.cli.started import started
from meshwright.cli.starting import begin, console_address, stay
from meshwright.processes.sandbox import Rung
from meshwright.wiring.local_mesh import DEMO_SAMPLES, PROFILES, VISITORS, LocalMesh, profile_texts, sample_texts
from meshwright.wiring.run_file import Forward

DEMO = "demo"


@click.command("up")
@data_option
@click.option("--detach", is_flag=True, help="Return when the mesh is up; stop it with `meshwright down`.")
@click.option("--profile", type=click.Choice(sorted(PROFILES)), default="default", show_default=True)
@click.option(
    "-f", "--filename", "names", multiple=True, metavar="PATH", help="File, folder, or - for standard input."
)
@click.argument("more", nargs=-1, metavar="[PATH]...")
@click.option("--no-visitors", "alone", is_flag=True, help="Profile demo: without the visitors.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Form of the answer, given when it is up.",
)
@start_options
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
    output: str,
    *,
    detach: bool,
    alone: bool,
    single_uid: bool,
) -> None:
    """Start the mesh on this machine, with configuration from files and folders.

    The profile demo without a PATH starts the Bookinfo sample, and visitors who call it.
    """
    mesh, notes = local_mesh(data), Notes(beside=output == JSON)
    texts = _texts(profile, [*names, *more], visitors=not alone)
    ports = Ports(port_base, http_port, https_port, api_port, console_port, metrics_port)
    run = ports.run_file(rung, profile, texts)
    begun = begin(mesh, run, rung, notes, single_uid=single_uid)
    bookinfo = _is_demo(profile, [*names, *more])
    if output == JSON:
        give_json(started(mesh, begun, notes, bookinfo=bookinfo))
    else:
        _summary(mesh, run.forwards, profile, bookinfo=bookinfo, seconds=begun.seconds)
    if not detach:
        stay(mesh, notes)
    begun.insist()


def _is_demo(profile: str, paths: Sequence[str]) -> bool:
    return profile == DEMO and not paths


def _texts(profile: str, paths: Sequence[str], *, visitors: bool) -> list[tuple[str, str]]:
    own = [(text.file, text.text) for text in read_texts(paths)]
    names = (*DEMO_SAMPLES, VISITORS) if visitors else DEMO_SAMPLES
    samples = sample_texts(names) if _is_demo(profile, paths) else []
    return [*profile_texts(profile), *samples, *own]


def _summary(mesh: LocalMesh, forwards: Sequence[Forward], profile: str, *, bookinfo: bool, seconds: float) -> None:
    http = next(each.host_port for each in forwards if each.name == "http")
    click.echo(f"  {seconds:5.1f} s  up (profile {profile})")
    if profile != "minimal":
        click.echo(f"ingress: http://localhost:{http}")
    if bookinfo:
        click.echo(f"Bookinfo: http://localhost:{http}/productpage")
    click.echo(f"console: {console_address(mesh)}")
