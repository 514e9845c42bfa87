"""`meshwright kubeconfig`."""

from pathlib import Path

import click

from meshwright.cli.failure import UnreachableFailure
from meshwright.cli.mesh_option import data_option, running_mesh


@click.command("kubeconfig")
@data_option
@click.option("--print", "show", is_flag=True, help="Print the content, which holds the token, instead of the path.")
def command(data: Path | None, *, show: bool) -> None:
    """Print the path of the kubeconfig: export KUBECONFIG=$(meshwright kubeconfig)."""
    path = running_mesh(data).data.root / "kubeconfig"
    if not path.exists():
        raise UnreachableFailure("the object API of this mesh is not up yet")
    click.echo(path.read_text() if show else str(path))
