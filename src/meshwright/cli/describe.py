"""`meshwright describe KIND [NAME]`."""

from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.control import ask, split_name
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option


@click.command("describe")
@data_option
@click.argument("words", nargs=-1, metavar="KIND [NAME]")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-A", "--all-namespaces", is_flag=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, words: Sequence[str], namespace: str, output: str, *, all_namespaces: bool) -> None:
    """Say of an object (or all of a KIND) what it means in the mesh: rules in words, endpoints, proxies, changes.

    Pods with identity and mutual TLS, services with every rule that has a say, VirtualServices, DestinationRules,
    Gateways and PeerAuthentications with what comes of them; other kinds with conditions, findings and changes.
    """
    kind, name = split_name(words)
    if not kind:
        raise UsageFailure("name a kind, e.g. service reviews")
    if name and all_namespaces:
        raise UsageFailure("a name is of one object: leave -A away")
    asked = {"kind": kind, "name": name, "namespace": namespace, "all_namespaces": all_namespaces}
    found = ask(data, "describe", **asked)["objects"]
    if output == "json":
        give_json(found[0] if name else found, indent=2)
        return
    from meshwright.cli.describe_text import described

    if not found:
        click.echo(f"no {kind}" if all_namespaces else f"no {kind} in namespace {namespace}", err=True)
    click.echo("\n\n".join(described(each) for each in found), nl=bool(found))
