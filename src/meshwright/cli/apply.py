"""`meshwright apply`."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.control import ask, author, succeed_or_fail, tell
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.sources import read_texts

DEFAULT_WAIT_SECONDS = 5
LONG_WAIT_SECONDS = 60


@click.command("apply")
@data_option
@click.option(
    "-f", "--filename", "names", multiple=True, metavar="PATH", help="File, folder, or - for standard input."
)
@click.argument("more", nargs=-1, metavar="[PATH]...")
@click.option("--wait", is_flag=True, help="Wait until every affected proxy runs the change; else exit with 1.")
@click.option("--dry-run", is_flag=True, help="Check and tell, write nothing.")
@click.option("--fix", is_flag=True, help="Also add DestinationRules that are missing, and mend lost indentation.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(  # noqa: PLR0913 - one parameter per option
    data: Path | None, names: Sequence[str], more: Sequence[str], output: str, *, wait: bool, dry_run: bool, fix: bool
) -> None:
    """Create or change objects from documents, as one change, and say when every affected proxy runs it.

    When a document is refused nothing is written; every mistake is told with its line.
    """
    paths = [*names, *more]
    if not paths:
        raise UsageFailure("name documents with -f PATH (a file, a folder, or - for standard input)")
    texts = [{"file": text.file, "text": text.text} for text in read_texts(paths)]
    seconds = LONG_WAIT_SECONDS if wait else DEFAULT_WAIT_SECONDS
    answer = ask(data, "apply", texts=texts, author=author(), dry_run=dry_run, fix=fix, wait=seconds)
    for finding in answer["findings"]:
        click.echo(finding, err=True)
    if output == "json":
        click.echo(json.dumps(answer))
    else:
        tell(answer, dry_run=dry_run)
    if answer["refused"]:
        raise Failure(f"nothing was written: {answer['refused']} findings refuse a document (above)")
    succeed_or_fail(answer["receipt"], wait=wait)
