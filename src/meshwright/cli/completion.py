"""`meshwright completion SHELL`."""

import click
from click.shell_completion import get_completion_class

from meshwright.cli.main import cli


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL; load it with `source <(meshwright completion bash)`."""
    made = get_completion_class(shell)
    assert made is not None, "the choice above names only shells that click knows"
    for name in ("meshwright", "mw"):
        click.echo(made(cli, {}, name, f"_{name.upper()}_COMPLETE").source())
