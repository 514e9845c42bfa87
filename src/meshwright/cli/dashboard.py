"""`meshwright dashboard`."""

import json
import webbrowser
from pathlib import Path

import click

from meshwright.cli.failure import UnreachableFailure
from meshwright.cli.mesh_option import data_option, running_mesh


@click.command("dashboard")
@data_option
@click.option("--open", "opens", is_flag=True, help="Open it in this machine's browser.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, output: str, *, opens: bool) -> None:
    """Print the console's address with the token that logs in; the token stays in the browser's address bar's end,
    which no browser sends to anybody.
    """
    mesh = running_mesh(data)
    port = mesh.telemetry_ports().get("console")
    token = mesh.console_token()
    if port is None or not token:
        raise UnreachableFailure(f"the console of the mesh in {mesh.data.root} does not run (yet): meshwright status")
    url = f"http://localhost:{port}/#token={token}"
    click.echo(json.dumps({"url": url}) if output == "json" else url)
    if opens:
        webbrowser.open(url)
