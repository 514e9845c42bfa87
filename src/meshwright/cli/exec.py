"""`meshwright exec POD -- CMD...`."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click

from meshwright.agent.program import OUTBOUND_PORT, named_folders
from meshwright.cli.failure import CannotRunFailure, Failure, NoProgramFailure, UnreachableFailure, UsageFailure
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.pods import find_pod
from meshwright.cli.terminal import on_terminal
from meshwright.images import tools
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.processes.holder_client import HolderClient, SpawnSpec, execute
from meshwright.wiring.commands import DEFAULT_PATH, resolved
from meshwright.wiring.local_mesh import LocalMesh


@click.command("exec", context_settings={"allow_interspersed_args": False})
@data_option
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.option("-i", "--stdin", "stdin", is_flag=True, help="As kubectl has it: standard input is always passed on.")
@click.option("-o", "--output", hidden=True)
@click.argument("pod")
@click.argument("words", nargs=-1, required=True, metavar="-- CMD...")
def command(  # noqa: PLR0913 - one parameter per option
    data: Path | None, namespace: str, output: str | None, pod: str, words: Sequence[str], *, tty: bool, stdin: bool
) -> None:
    """Run CMD inside POD (a pod, POD.NAMESPACE, or deploy/NAME), as its application would; its exit code is ours.

    As in a shell, 127 says that there is no such program, and 126 that it cannot be started. There is no -o: what CMD
    writes is passed on byte by byte, as it comes.
    """
    del stdin
    if output is not None:
        raise UsageFailure(
            f"exec has no -o {output}: it passes on what the command writes, byte by byte, and ends with its exit "
            "code; an -o of the command itself goes after --"
        )
    if words[0].startswith("-") and words[0] != "--":
        raise UsageFailure(f"{words[0]}: options of exec go before {pod}, and the command after --")
    mesh = running_mesh(data)
    meant = find_pod(mesh, pod, namespace)
    argv = tuple(words[1:] if words[0] == "--" else words)
    if not argv:
        raise UsageFailure("give the command after --")
    sys.exit(_run(mesh, meant.name, argv, tty=tty))


def _run(mesh: LocalMesh, pod: str, argv: tuple[str, ...], *, tty: bool) -> int:
    if tty and not os.isatty(0):
        raise UsageFailure("-t joins the command to your terminal, but standard input is none: leave -t out")
    words = resolved(argv)
    spec = SpawnSpec(
        pod,
        "exec",
        words,
        env={
            "PATH": DEFAULT_PATH,
            tools.INTERPRETER: sys.executable,
            "HOME": "/",
            "TERM": os.environ.get("TERM", "dumb"),
            **_proxy_settings(mesh, pod),
        },
        cwd="/",
        expose=named_folders(words),
        terminal=tty,
    )

    def run(streams: tuple[int, int, int]) -> Coroutine[Any, Any, int]:
        return execute(mesh.data.holder_socket, spec, streams)

    try:
        return asyncio.run(on_terminal(run) if tty else run((0, 1, 2)))
    except RemoteError as error:
        raise _refusal(error, words[0], pod) from None
    except (Disconnected, OSError) as error:
        raise UnreachableFailure(f"the mesh in {mesh.data.root} does not answer: {error}") from None


def _refusal(error: RemoteError, program: str, pod: str) -> Failure:
    """Why the holder did not start a program; it names the program when that is what was wrong."""
    what, _, why = str(error).partition(": ")
    if what != program:
        return UsageFailure(f"{pod}: {error}")
    if "not found" in why or "No such file" in why:
        return NoProgramFailure(f"{program}: command not found in {pod}")
    return CannotRunFailure(f"{program}: {why.rpartition('] ')[2] or why}")


def _proxy_settings(mesh: LocalMesh, pod: str) -> dict[str, str]:
    """Without namespaces the pod's applications reach the mesh through `http_proxy`: so does this command."""
    run = mesh.run_file()
    if run is None or run.rung != "loopback":
        return {}
    address = asyncio.run(_address(mesh, pod))
    return {"http_proxy": f"http://{address}:{OUTBOUND_PORT}", "no_proxy": "localhost,127.0.0.1"} if address else {}


async def _address(mesh: LocalMesh, pod: str) -> str:
    async with HolderClient.session(mesh.data.holder_socket) as holder:
        found = await holder.list()
    return next((each.ip for each in found.pods if each.pod == pod), "")
