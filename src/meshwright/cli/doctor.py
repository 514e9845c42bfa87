"""`meshwright doctor`."""

import json
from dataclasses import asdict

import click

from meshwright.cli.failure import Failure
from meshwright.processes.preflight import check


@click.command("doctor")
@click.option("--http-port", default=8080, show_default=True, help="Port that the ingress would take.")
@click.option("--https-port", default=8443, show_default=True, help="Port that the ingress would take for TLS.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(http_port: int, https_port: int, output: str) -> None:
    """Check whether this machine can run the mesh, in which rung and why, and which port is busy and by whom."""
    report = check([http_port, https_port])
    if output == "json":
        click.echo(json.dumps({**asdict(report), "ok": report.ok}))
    else:
        click.echo(str(report))
    if not report.ok:
        raise Failure("this machine cannot start the mesh as it is; see the fixes above")
