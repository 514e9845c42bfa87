"""`meshwright requests`: the last requests, as the proxies wrote them down."""

from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.logged import MOST, last_requests
from meshwright.cli.logged_text import listing
from meshwright.cli.mesh_option import data_option, running_mesh


@click.command("requests")
@data_option
@click.option("--failed", is_flag=True, help="Only errors: status 500 and above, or no answer.")
@click.option(
    "--id", "request", default="", help="Only the request with this id (its beginning will do), on its whole way."
)
@click.option("--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="The last so many.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, request: str, limit: int, output: str, *, failed: bool) -> None:
    """Print the last requests between workloads, the newest at the end; ID is what `explain --request` takes.

    A request is there about two seconds after its answer. Of busy proxies a share is kept, and all errors.
    """
    found = last_requests(running_mesh(data), limit, request=request, failed=failed)
    if output == "json":
        give_json(found, indent=2)
    elif found:
        click.echo(listing(found))
    else:
        click.echo("no such request is kept" if failed or request else "no request is kept yet", err=True)
