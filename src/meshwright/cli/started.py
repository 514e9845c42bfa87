"""What `up` and `install` tell programs: where everything is, and what is not as it should be."""

from typing import Any

from meshwright.cli.addresses import addresses, pod_json
from meshwright.cli.failure import Failure
from meshwright.cli.pods import pods
from meshwright.cli.start_notes import Notes
from meshwright.cli.start_options import ports_of
from meshwright.cli.starting import Begun
from meshwright.wiring.local_mesh import LocalMesh

MINIMAL = "minimal"


def started(mesh: LocalMesh, begun: Begun, notes: Notes, *, bookinfo: bool) -> dict[str, Any]:
    """Addresses under the names of `status`, ports as they are really used, and what was told on the way.

    `errors` is empty when the exit code is 0. The console's token is not in it, `meshwright dashboard` has it.
    """
    told = addresses(mesh)
    if told["profile"] == MINIMAL:  # it has no gateway, so nobody answers there
        told["ingress"] = dict.fromkeys(told["ingress"])
    run = mesh.run_file()
    ports = {**(ports_of(run) if run else {}), **dict.fromkeys(("console", "metrics")), **mesh.telemetry_ports()}
    return {
        **told,
        "kubeconfig": str(mesh.data.root / "kubeconfig"),
        "bookinfo": f"{told['ingress']['http']}/productpage" if bookinfo else None,
        "ports": ports,
        "already_running": begun.earlier,
        "ready": begun.ready,
        "seconds": round(begun.seconds, 1),
        "pods": [pod_json(pod) for pod in pods(mesh)],
        "findings": notes.findings,
        "warnings": notes.warnings,
        "errors": [*notes.errors, *_complaint(begun)],
    }


def _complaint(begun: Begun) -> list[str]:
    try:
        begun.insist()
    except Failure as failure:
        return [failure.message]
    return []
