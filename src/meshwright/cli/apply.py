"""`meshwright apply`."""

from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.control import ask, author, findings, give, succeed_or_fail
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.sources import Text, read_texts

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

    When a document is refused nothing is written; every mistake is told with its line. Text that has lost its
    indentation is printed with it, if it is certain what was meant; --fix applies that.
    """
    paths = [*names, *more]
    if not paths:
        raise UsageFailure("name documents with -f PATH (a file, a folder, or - for standard input)")
    texts = [{"file": text.file, "text": text.text} for text in _mended(read_texts(paths), output, fix=fix)]
    seconds = LONG_WAIT_SECONDS if wait else DEFAULT_WAIT_SECONDS
    answer = ask(data, "apply", texts=texts, author=author(), dry_run=dry_run, fix=fix, wait=seconds)
    for finding in answer["findings"]:
        click.echo(finding, err=True)
    give(answer, output, dry_run=dry_run)
    if answer["refused"]:
        raise Failure(f"nothing was written: {findings(answer['refused'], 'refuse')} (above)")
    if not answer["objects"]:
        raise Failure("nothing to apply: the documents hold no object of the mesh")
    if wait and answer.get("withheld"):
        raise Failure("nothing has changed, and it is not in effect (above)")
    succeed_or_fail(answer["receipt"], wait=wait)


def _mended(texts: Sequence[Text], output: str, *, fix: bool) -> list[Text]:
    """The texts, with indentation where it was lost. Raises Failure when some have lost it, unless they are to be
    fixed; what they mean is printed in both cases.
    """
    from meshwright.kinds.mending import mended

    meant = {text: found for text in texts if (found := mended(text.text)) is not None}
    for text, found in meant.items():
        click.echo(f"{text.file} has lost its indentation. It means:", err=True)
        if output == "text":
            click.echo(found.rstrip())
    if meant and not fix:
        if output == "json":
            known = [{"file": text.file, "text": found} for text, found in meant.items()]
            give_json({"mended": known, "refused": len(known), "objects": [], "change": None})
        raise Failure("nothing was written; if that is what you mean, `meshwright apply --fix` applies it")
    return [Text(text.file, meant.get(text, text.text)) for text in texts]
