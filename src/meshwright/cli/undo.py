"""`meshwright undo [C]`."""

from pathlib import Path

import click

from meshwright.cli.control import ask, author, give, succeed_or_fail
from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import data_option


@click.command("undo")
@data_option
@click.argument("change", type=click.IntRange(1), required=False)
@click.option("--wait", is_flag=True, help="Wait until every affected proxy runs it; else exit with 1.")
@click.option("--dry-run", is_flag=True, help="Tell, write nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, change: int | None, output: str, *, wait: bool, dry_run: bool) -> None:
    """Take one change back (default: the newest), as a new change. What was changed since in other fields stays."""
    answer = ask(data, "undo", change=change or 0, author=author(), dry_run=dry_run)
    if not answer["objects"]:
        raise Failure("nothing to take back: it is undone already, or what it was about has gone since")
    give(answer, output, dry_run=dry_run)
    succeed_or_fail(answer["receipt"], wait=wait)
