"""`meshwright history`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.control import ask, receipt_line, split_name
from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import data_option

MILLISECONDS = 1000
MOST_NAMED = 30  # objects of one change; -o json has all of them


@click.command("history")
@data_option
@click.argument("words", nargs=-1, metavar="[KIND/NAME]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--all", "everything", is_flag=True, help="Also what controllers wrote.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(
    data: Path | None, words: Sequence[str], namespace: str, limit: int, output: str, *, everything: bool
) -> None:
    """Print the changes, newest first: number, time, author, objects, and how far each is."""
    kind, name = split_name(words)
    asked = {"kind": kind, "name": name, "namespace": namespace, "limit": limit, "everything": everything}
    changes = ask(data, "changes", **asked)["changes"]
    if output == "json":
        give_json(changes)
        return
    if not changes:
        concerned = f" of {kind}/{name} in namespace {namespace}" if name else f" of {kind}" if kind else ""
        raise Failure(f"no change{concerned} is kept")
    for change in changes:
        when = datetime.fromtimestamp(change["time"] / MILLISECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"{change['number']:>5}  {when}  {change['author']}  {change['message']}")
        click.echo(f"       {some(change['objects'])}")
        if change["receipt"] is not None:
            click.echo(f"       {receipt_line(change['receipt'], change['number'])}")


def some(objects: Sequence[str]) -> str:
    """The first ones, and how many there are beside them."""
    more = len(objects) - MOST_NAMED
    return ", ".join(objects[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
