"""`meshwright doctor`."""

from dataclasses import asdict, replace
from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import data_option, local_mesh
from meshwright.cli.start_options import API_PORT
from meshwright.cli.starting import port_fixes
from meshwright.processes.preflight import check


@click.command("doctor")
@data_option
@click.option("--port-base", type=click.IntRange(1024, 65000), help="Look at N to N+2 instead, as `up --port-base`.")
@click.option("--http-port", default=8080, show_default=True, help="Port that the ingress would take.")
@click.option("--https-port", default=8443, show_default=True, help="Port that the ingress would take for TLS.")
@click.option("--api-port", default=API_PORT, show_default=True, help="Port that the object API would take.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(
    data: Path | None, port_base: int | None, http_port: int, https_port: int, api_port: int, output: str
) -> None:
    """Check whether this machine can run the mesh, in which rung and why, and which port is busy and by whom.

    Ports that are taken by the mesh of this data directory, which runs already, are as they should be.
    """
    ports = [http_port, https_port, api_port] if port_base is None else [port_base, port_base + 1, port_base + 2]
    found = check(ports)
    root = str(local_mesh(data).data.root)
    own = [busy.port for busy in found.busy_ports if busy.data_dir == root]
    busy_ports = tuple(busy for busy in found.busy_ports if busy.data_dir != root)
    report = replace(found, busy_ports=busy_ports, fixes=(*found.fixes, *port_fixes(busy_ports)))
    if output == "json":
        give_json({**asdict(report), "ok": report.ok, "own_ports": own})
    else:
        click.echo(str(report))
        for port in own:
            click.echo(f"  runs: the mesh in {root} has port {port}")
    if not report.ok:
        raise Failure("this machine cannot start the mesh as it is; see the fixes above")
