"""`meshwright compile`: offline, pure, without privilege."""

import json
from collections.abc import Sequence
from typing import Any

import click

from meshwright.cli.answer import give_text
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.sources import read_texts

KINDS = ("listeners", "clusters", "routes", "endpoints", "secrets")


@click.command("compile")
@click.option(
    "-f", "--filename", "names", multiple=True, metavar="PATH", help="File, folder, or - for standard input."
)
@click.argument("more", nargs=-1, metavar="[PATH]...")
@click.option("--proxy", metavar="POD.NS", help="Whose configuration: a pod, or a Deployment's NAME.NS.")
@click.option("--type", "kind", type=click.Choice(KINDS), help="Only these resources.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
@click.option(
    "--bootstrap", is_flag=True, help="One static bootstrap that `envoy --mode validate` accepts and that runs."
)
@click.option("--explain-class", is_flag=True, help="Print what decides the proxy's bytes.")
def command(  # noqa: PLR0913 - one parameter per option
    names: Sequence[str],
    more: Sequence[str],
    proxy: str | None,
    kind: str | None,
    output: str,
    *,
    bootstrap: bool,
    explain_class: bool,
) -> None:
    """Print the Envoy configuration that a proxy would get from Kubernetes and Istio documents.

    What is wrong with the documents goes to standard error (and into "diagnostics"); the exit code is 1 when an
    object was refused.
    """
    paths = [*names, *more]
    if not paths:
        raise UsageFailure("name documents with -f PATH (a file, a folder, or - for standard input)")
    texts = read_texts(paths)
    from meshwright.documents.render import render
    from meshwright.wiring.loading import load
    from meshwright.wiring.offline import OfflineMesh

    loaded = load((text.file, text.text) for text in texts)
    mesh = OfflineMesh(loaded)
    for found in mesh.diagnostics:
        click.echo(render(found, loaded.lines), err=True)
    meant = mesh.find(proxy) if proxy else None
    if meant is None:
        here = ", ".join(mesh.proxies) or "none (no Pod, Deployment or StatefulSet was read)"
        ask = f"there is no proxy {proxy}" if proxy else "name a proxy with --proxy POD.NS"
        raise UsageFailure(f"{ask}; there are: {here}")
    if explain_class:
        give_text(mesh.explain_class(meant))
    else:
        give_text(_form(mesh.bootstrap(meant) if bootstrap else mesh.resources(meant, kind), output))
    if loaded.refused:
        raise Failure(f"{len(loaded.refused)} findings left something out; see above")


def _form(value: dict[str, Any], output: str) -> str:
    if output == "json":
        return json.dumps(value, indent=2)
    import yaml

    plain = json.loads(json.dumps(value))  # protobuf's JSON has mappings that YAML does not know
    return yaml.safe_dump(plain, sort_keys=False, width=120).rstrip("\n")
