"""`meshwright kubeconfig`."""

from pathlib import Path

import click

from meshwright.cli.answer import JSON, give_json
from meshwright.cli.failure import UnreachableFailure
from meshwright.cli.mesh_option import data_option, running_mesh


@click.command("kubeconfig")
@data_option
@click.option("--print", "show", is_flag=True, help="Print the content, which holds the token, instead of the path.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, output: str, *, show: bool) -> None:
    """Print the path of the kubeconfig: export KUBECONFIG=$(meshwright kubeconfig)."""
    path = running_mesh(data).data.root / "kubeconfig"
    if not path.exists():
        raise UnreachableFailure("the object API of this mesh is not up yet")
    if output == JSON:
        give_json(_content(path) if show else {"path": str(path)})
    else:
        click.echo(path.read_text() if show else str(path))


def _content(path: Path) -> object:
    """A kubeconfig in JSON is one, too."""
    import yaml

    return yaml.safe_load(path.read_text())
