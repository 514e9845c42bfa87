"""`meshwright down`."""

from pathlib import Path

import click

from meshwright.cli.answer import JSON, give_json
from meshwright.cli.mesh_option import data_option, insist_on_access, insist_on_place, local_mesh
from meshwright.cli.progress import step
from meshwright.processes.sweep import Swept


@click.command("down")
@data_option
@click.option("--purge", is_flag=True, help="Remove the data directory too: keys, logs, configuration.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, output: str, *, purge: bool) -> None:
    """Stop the mesh: every pod, proxy, namespace, rule and socket goes. Safe to call when nothing runs."""
    mesh = local_mesh(data)
    insist_on_access(mesh)
    if purge:
        insist_on_place(mesh)
    ran = mesh.supervisor() is not None
    done = Swept()
    if not ran and not mesh.data.root.exists():
        if output != JSON:
            click.echo(f"nothing runs in {mesh.data.root}")
    else:
        with step("stopped", err=output == JSON) as current:
            done = mesh.stop(purge=purge)
            words = done.words()
            if purge and mesh.data.root.exists():
                words.append(f"{mesh.data.root} could not be removed whole")
            current.outcome = "; ".join(words) if words else f"nothing ran in {mesh.data.root}"
    if output == JSON:
        ended = [process.pid for process in (done.supervisor, *done.ended) if process is not None]
        removed = [str(path) for path in done.removed]
        give_json({"data": str(mesh.data.root), "ran": ran, "ended": ended, "removed": removed})
