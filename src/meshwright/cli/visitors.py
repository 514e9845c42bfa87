"""`meshwright visitors`."""

import json
from pathlib import Path

import click

from meshwright.cli.control import ask, author
from meshwright.cli.mesh_option import data_option


@click.command("visitors")
@data_option
@click.argument("wanted", type=click.Choice(["on", "off"]), required=False, default=None)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, wanted: str | None, output: str) -> None:
    """Say whether the demo's visitors come, or switch them on or off."""
    answer = ask(data, "visitors", wanted=wanted or "", author=author())
    words = {True: "visitors come: 5 requests a second", False: "no visitors come", None: "this mesh has no visitors"}
    click.echo(json.dumps({"on": answer["on"]}) if output == "json" else words[answer["on"]])
