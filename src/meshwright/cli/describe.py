"""`meshwright describe KIND [NAME]`."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.control import ask, split_name
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option


@click.command("describe")
@data_option
@click.argument("words", nargs=-1, metavar="KIND [NAME]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, words: Sequence[str], namespace: str, output: str) -> None:
    """Say of an object (or all of a KIND) what it means in the mesh: rules in words, endpoints, proxies, changes.

    Pods with identity and mutual TLS, services with every rule that has a say, VirtualServices, DestinationRules,
    Gateways and PeerAuthentications with what comes of them; other kinds with conditions, findings and changes.
    """
    kind, name = split_name(words)
    if not kind:
        raise UsageFailure("name a kind, e.g. service reviews")
    found = ask(data, "describe", kind=kind, name=name, namespace=namespace)["objects"]
    if output == "json":
        click.echo(json.dumps(found[0] if name else found, indent=2))
        return
    from meshwright.cli.describe_text import described

    if not found:
        click.echo(f"no {kind} in namespace {namespace}", err=True)
    click.echo("\n\n".join(described(each) for each in found), nl=bool(found))
