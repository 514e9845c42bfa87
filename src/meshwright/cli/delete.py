"""`meshwright delete`."""

from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.control import ask, author, give, objects_named, succeed_or_fail
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.sources import read_texts


@click.command("delete")
@data_option
@click.option("-f", "--filename", "names", multiple=True, metavar="PATH", help="Objects of these documents.")
@click.argument("words", nargs=-1, metavar="[KIND NAME... | KIND/NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--wait", is_flag=True, help="Wait until every affected proxy runs the change; else exit with 1.")
@click.option("--dry-run", is_flag=True, help="Tell, write nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(  # noqa: PLR0913 - one parameter per option
    data: Path | None,
    names: Sequence[str],
    words: Sequence[str],
    namespace: str,
    output: str,
    *,
    wait: bool,
    dry_run: bool,
) -> None:
    """Delete objects, as one change."""
    objects = [{"kind": kind, "name": name} for kind, name in objects_named(words)]
    if (not names and not objects) or any(not each["name"] for each in objects):
        raise UsageFailure("name objects (KIND NAME..., or KIND/NAME...) or documents (-f PATH)")
    texts = [{"file": text.file, "text": text.text} for text in read_texts(names)]
    answer = ask(data, "delete", texts=texts, objects=objects, namespace=namespace, author=author(), dry_run=dry_run)
    if not answer["objects"]:
        raise Failure("nothing to delete: the documents hold no object of the mesh")
    for each in answer["absent"]:
        click.echo(f"{each} is not there", err=True)
    give(answer, output, dry_run=dry_run)
    succeed_or_fail(answer["receipt"], wait=wait)
