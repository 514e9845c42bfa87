"""`meshwright diff C1 [C2]`."""

import difflib
from pathlib import Path
from typing import Any

import click

from meshwright.cli.answer import give_json
from meshwright.cli.control import ask
from meshwright.cli.mesh_option import data_option

MACHINE = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@click.command("diff")
@data_option
@click.argument("old", type=click.IntRange(0))
@click.argument("new", type=click.IntRange(0), required=False)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, old: int, new: int | None, output: str) -> None:
    """Print what is different after change NEW (default: now) from after change OLD."""
    differences = ask(data, "diff", old=old, new=new or 0)["differences"]
    if output == "json":
        give_json(differences)
        return
    for each in differences:
        before, after = _lines(each["before"]), _lines(each["after"])
        names = (f"{each['object']} after {old}", f"{each['object']} after {new or 'now'}")
        for line in difflib.unified_diff(before, after, *names, lineterm=""):
            click.echo(line)


def _lines(value: dict[str, Any] | None) -> list[str]:
    if value is None:
        return []
    import yaml

    metadata = {name: member for name, member in value.get("metadata", {}).items() if name not in MACHINE}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
        if not metadata["annotations"]:
            del metadata["annotations"]
    return yaml.safe_dump({**value, "metadata": metadata}, sort_keys=True, width=120).splitlines()
