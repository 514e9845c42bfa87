"""Where a mesh is reached and what keeps its pods apart, as `status`, `up` and `install` tell programs."""

from collections.abc import Mapping
from typing import Any

from meshwright.cli.pods import PodLine
from meshwright.wiring.local_mesh import LocalMesh

ENFORCES: Mapping[str, str] = {
    "root": "network namespaces, one uid per pod: interception and identities are enforced",
    "user": "network namespaces in a user namespace, one uid per pod: interception and identities are enforced",
    "user, one uid": "network namespaces in a user namespace: interception is enforced; with one uid for all, pods "
    "are not a security boundary to each other",
    "loopback": "demo, not enforcing: loopback addresses and http_proxy",
}


def enforces(rung: str, *, single_uid: bool) -> str:
    """What the mesh of this rung keeps apart, in words."""
    return ENFORCES.get("user, one uid" if rung == "user" and single_uid else rung, "")


def addresses(mesh: LocalMesh) -> dict[str, Any]:
    """Rung, profile, data directory and every address as a URL; None for what is not served."""
    run = mesh.run_file()
    ports = {each.name: each.host_port for each in run.forwards} if run else {}
    served = mesh.telemetry_ports()
    return {
        "rung": run.rung if run else "",
        "enforces": enforces(run.rung if run else "", single_uid=mesh.single_uid()),
        "single_uid": mesh.single_uid(),
        "profile": run.profile if run else "",
        "data": str(mesh.data.root),
        "ingress": {
            "http": f"http://localhost:{ports['http']}" if "http" in ports else None,
            "https": f"https://localhost:{ports['https']}" if "https" in ports else None,
        },
        "console": f"http://localhost:{served['console']}" if "console" in served else None,
        "api": f"https://localhost:{run.api_port}" if run else None,
        "xds": None,
        "prometheus": f"http://localhost:{served['metrics']}/metrics" if "metrics" in served else None,
    }


def pod_json(pod: PodLine) -> dict[str, Any]:
    """A pod for programs."""
    return {"name": pod.name, "phase": pod.phase, "ready": pod.ready, "restarts": pod.restarts, "why": pod.why}
