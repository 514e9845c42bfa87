"""`meshwright get`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meshwright.cli.control import ask, split_name
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option


@click.command("get")
@data_option
@click.argument("words", nargs=-1, metavar="KIND [NAME]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-A", "--all-namespaces", is_flag=True)
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml", "name"]), default="text")
def command(data: Path | None, words: Sequence[str], namespace: str, output: str, *, all_namespaces: bool) -> None:
    """Print objects: of a KIND (vs, dr, svc, deploy, ...), or one by NAME."""
    kind, name = split_name(words)
    if not kind:
        raise UsageFailure("name a kind, e.g. virtualservices")
    items = ask(data, "get", kind=kind, name=name, namespace=namespace, all_namespaces=all_namespaces)["items"]
    if output == "text":
        _table(items)
    elif output == "name":
        for item in items:
            click.echo(f"{item['kind'].lower()}/{item['metadata']['name']}")
    else:
        whole = items[0] if name else {"apiVersion": "v1", "kind": "List", "items": items}
        click.echo(_form(whole, output))


def _form(value: dict[str, Any], output: str) -> str:
    if output == "json":
        return json.dumps(value, indent=2)
    import yaml

    return yaml.safe_dump(value, sort_keys=False, width=120).rstrip("\n")


def _table(items: Sequence[dict[str, Any]]) -> None:
    rows = [("NAMESPACE", "NAME", "GENERATION", "CREATED")]
    for item in items:
        meta = item["metadata"]
        created = meta.get("creationTimestamp", "")
        rows.append((meta.get("namespace", ""), meta["name"], str(meta.get("generation", "")), created))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
