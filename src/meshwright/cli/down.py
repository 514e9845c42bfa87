"""`meshwright down`."""

from pathlib import Path

import click

from meshwright.cli.mesh_option import data_option, insist_on_access, local_mesh
from meshwright.cli.progress import step


@click.command("down")
@data_option
@click.option("--purge", is_flag=True, help="Remove the data directory too: keys, logs, configuration.")
def command(data: Path | None, *, purge: bool) -> None:
    """Stop the mesh: every pod, proxy, namespace, rule and socket goes. Safe to call when nothing runs."""
    mesh = local_mesh(data)
    insist_on_access(mesh)
    if mesh.supervisor() is None and not mesh.data.root.exists():
        click.echo(f"nothing runs in {mesh.data.root}")
        return
    with step("stopped") as current:
        done = mesh.stop(purge=purge)
        current.outcome = "; ".join(done) if done else f"nothing ran in {mesh.data.root}"
