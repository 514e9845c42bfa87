"""`meshwright doctor`."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import data_option, local_mesh
from meshwright.processes.preflight import check


@click.command("doctor")
@data_option
@click.option("--http-port", default=8080, show_default=True, help="Port that the ingress would take.")
@click.option("--https-port", default=8443, show_default=True, help="Port that the ingress would take for TLS.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, http_port: int, https_port: int, output: str) -> None:
    """Check whether this machine can run the mesh, in which rung and why, and which port is busy and by whom.

    Ports that are taken by the mesh of this data directory, which runs already, are as they should be.
    """
    found = check([http_port, https_port])
    root = str(local_mesh(data).data.root)
    own = [busy.port for busy in found.busy_ports if busy.data_dir == root]
    report = replace(found, busy_ports=tuple(busy for busy in found.busy_ports if busy.data_dir != root))
    if output == "json":
        click.echo(json.dumps({**asdict(report), "ok": report.ok, "own_ports": own}))
    else:
        click.echo(str(report))
        for port in own:
            click.echo(f"  runs: the mesh in {root} has port {port}")
    if not report.ok:
        raise Failure("this machine cannot start the mesh as it is; see the fixes above")
