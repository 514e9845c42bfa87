"""`meshwright rollback C`."""

from pathlib import Path

import click

from meshwright.cli.control import ask, author, give, succeed_or_fail
from meshwright.cli.mesh_option import data_option


@click.command("rollback")
@data_option
@click.argument("change", type=click.IntRange(0))
@click.option("--wait", is_flag=True, help="Wait until every affected proxy runs it; else exit with 1.")
@click.option("--dry-run", is_flag=True, help="Tell, write nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, change: int, output: str, *, wait: bool, dry_run: bool) -> None:
    """Bring every object back to how it was after change CHANGE, as a new change."""
    answer = ask(data, "rollback", change=change, author=author(), dry_run=dry_run)
    give(answer, output, dry_run=dry_run)
    succeed_or_fail(answer["receipt"], wait=wait)
