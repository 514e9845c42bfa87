"""`meshwright get`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from meshwright.cli.control import ask, split_names
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.tables import form, table

Json = dict[str, Any]
_FIRST = ("apiVersion", "kind", "metadata")


@click.command("get")
@data_option
@click.argument("words", nargs=-1, metavar="KIND[,KIND...] [NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-A", "--all-namespaces", is_flag=True)
@click.option("-l", "--selector", default="", help="Only objects with these labels: app=web,version in (v1,v2).")
@click.option("-o", "--output", type=click.Choice(["text", "wide", "json", "yaml", "name"]), default="text")
def command(
    data: Path | None, words: Sequence[str], namespace: str, selector: str, output: str, *, all_namespaces: bool
) -> None:
    """Print objects: of a KIND (vs, dr, svc, deploy, ... or all), or by NAME, with the columns that kubectl shows."""
    kind, names = split_names(words)
    if not kind:
        raise UsageFailure("name a kind, e.g. virtualservices")
    if names and (selector or all_namespaces):
        raise UsageFailure("a name is of one object: leave -l and -A away")
    asked: Json = {"kind": kind, "names": names, "namespace": namespace, "labels": selector}
    items: list[Json] = ask(data, "get", all_namespaces=all_namespaces, **asked)["items"]
    if output in ("json", "yaml"):
        ordered = [_ordered(item) for item in items]
        whole = ordered[0] if len(names) == 1 else {"apiVersion": "v1", "kind": "List", "items": ordered}
        click.echo(form(whole, output))
    elif not items:
        where = "" if all_namespaces else f" in namespace {namespace}"
        click.echo(f"no {kind}{where}", err=True)
    elif output == "name":
        for item in items:
            click.echo(f"{item['kind'].lower()}/{item['metadata']['name']}")
    else:
        click.echo(_tables(items, wide=output == "wide", all_namespaces=all_namespaces))


def _ordered(item: Json) -> Json:
    """As people write objects: what it is, then what it says, then how it is."""
    first = {name: item[name] for name in _FIRST if name in item}
    rest = {name: value for name, value in item.items() if name not in first and name != "status"}
    return {**first, **rest, **({"status": item["status"]} if "status" in item else {})}


def _tables(items: Sequence[Json], *, wide: bool, all_namespaces: bool) -> str:
    """One per kind; with several kinds, the names say of which they are."""
    kinds = list(dict.fromkeys(str(item["kind"]) for item in items))
    parts = [
        _table([item for item in items if item["kind"] == kind], kind, (wide, all_namespaces, len(kinds) > 1))
        for kind in kinds
    ]
    return "\n\n".join(parts)


def _table(items: Sequence[Json], kind: str, shown: tuple[bool, bool, bool]) -> str:
    from meshwright.apiserver.columns import columns_of

    wide, spaces, named = shown
    columns = [column for column in columns_of(kind) if wide or not column.wide]
    now = datetime.now(UTC)
    rows = [[str(column.cell(item, now)) for column in columns] for item in items]
    if named:
        rows = [
            [
                f"{kind.lower()}/{cell}" if column.name == "Name" else cell
                for column, cell in zip(columns, row, strict=True)
            ]
            for row in rows
        ]
    head = [column.name.upper() for column in columns]
    if spaces:
        head = ["NAMESPACE", *head]
        rows = [[str(item["metadata"].get("namespace", "")), *row] for item, row in zip(items, rows, strict=True)]
    return table(head, rows)
