"""`meshwright logs POD`."""

import asyncio
import json
import sys
from pathlib import Path

import click

from meshwright.agent import control_client
from meshwright.cli.answer import JSON, give_text
from meshwright.cli.failure import UsageFailure
from meshwright.cli.log_reader import read, read_lines
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.pods import PROXY_CONTAINER, find_pod
from meshwright.processes.client import RemoteError

PROXY_WORDS = frozenset({"proxy", PROXY_CONTAINER})


@click.command("logs")
@data_option
@click.argument("pod")
@click.option("-c", "--container", default="", help="One container; `proxy` is the pod's Envoy. [default: the first]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on printing until ^C.")
@click.option("--tail", type=click.IntRange(0), help="Only the last so many lines.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: an object per line.")
def command(  # noqa: PLR0913 - one parameter per option
    data: Path | None, pod: str, container: str, namespace: str, tail: int | None, output: str, *, follow: bool
) -> None:
    """Print the output of POD (a pod, POD.NAMESPACE, or deploy/NAME)."""
    mesh = running_mesh(data)
    meant = find_pod(mesh, pod, namespace)
    wanted = PROXY_CONTAINER if container in PROXY_WORDS else container
    try:
        found = asyncio.run(control_client.log_files(mesh.data.root, meant.name, wanted))
    except RemoteError as error:
        raise UsageFailure(str(error)) from None
    chosen = wanted or next((name for name in found if name != PROXY_CONTAINER), "") or next(iter(found), "")
    if not chosen:
        raise UsageFailure(f"{meant.name} has not written anything yet")
    try:
        if output == JSON:
            _print_json(meant.name, chosen, found[chosen], tail, follow=follow)
        else:
            _print(found[chosen], tail, follow=follow)
    except KeyboardInterrupt:
        if not follow:
            raise


def _print(path: Path, tail: int | None, *, follow: bool) -> None:
    """The bytes as they are."""
    for piece in read(path, tail, follow=follow):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _print_json(pod: str, container: str, path: Path, tail: int | None, *, follow: bool) -> None:
    """One object per line: pod, namespace, container, time (null: not known), line."""
    name, _, namespace = pod.partition(".")
    for line in read_lines(path, tail, follow=follow):
        value = {"pod": name, "namespace": namespace, "container": container, "time": line.time, "line": line.text}
        give_text(json.dumps(value))
