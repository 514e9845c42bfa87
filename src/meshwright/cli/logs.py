"""`meshwright logs POD`."""

import asyncio
import sys
import time
from pathlib import Path

import click

from meshwright.agent import control_client
from meshwright.cli.failure import UsageFailure
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
def command(data: Path | None, pod: str, container: str, namespace: str, tail: int | None, *, follow: bool) -> None:
    """Print the output of POD (a pod, POD.NAMESPACE, or deploy/NAME)."""
    mesh = running_mesh(data)
    meant = find_pod(mesh, pod, namespace)
    wanted = PROXY_CONTAINER if container in PROXY_WORDS else container
    try:
        found = asyncio.run(control_client.log_files(mesh.data.root, meant.name, wanted))
    except RemoteError as error:
        raise UsageFailure(str(error)) from None
    own = [name for name in found if name != PROXY_CONTAINER] or list(found)
    if not own and not found:
        raise UsageFailure(f"{meant.name} has not written anything yet")
    _print(found[wanted or own[0]], tail, follow=follow)


def _print(path: Path, tail: int | None, *, follow: bool) -> None:
    """Print a log that may be cut short by the agent while it is read."""
    offset = 0
    while True:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            text = b""
        if len(text) < offset:
            offset = 0
        fresh = text[offset:]
        offset = len(text)
        if tail is not None:
            fresh = b"".join(fresh.splitlines(keepends=True)[-tail:] if tail else [])
            tail = None
        sys.stdout.buffer.write(fresh)
        sys.stdout.buffer.flush()
        if not follow:
            return
        time.sleep(0.2)
