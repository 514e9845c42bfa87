"""The operation `topology`: what telemetry must know of pods and services to give names to what proxies count."""

from collections.abc import Awaitable, Callable
from typing import Any

from meshwright.model.labels import Labels
from meshwright.model.protocol import Protocol
from meshwright.model.service import Service
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload
from meshwright.processes.messages import Fields
from meshwright.wiring.live_mesh import LiveMesh

SERVICE_NAME, SERVICE_REVISION = "service.istio.io/canonical-name", "service.istio.io/canonical-revision"
NAME_LABELS = (SERVICE_NAME, "app.kubernetes.io/name", "app")
REVISION_LABELS = (SERVICE_REVISION, "app.kubernetes.io/version", "version")


def topology_operation(mesh: LiveMesh) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """`seen` is the `serial` of the last answer; nothing but the serial comes back when nothing is new."""

    async def answer(fields: Fields) -> dict[str, Any]:
        serial = mesh.published.value.change
        if fields.integer("seen", 0) == serial:
            return {"serial": serial}
        return {"serial": serial, **topology(mesh.snapshot)}

    return answer


def topology(snapshot: Snapshot) -> dict[str, Any]:
    """Pods with the services behind their ports, services, and the trust domain, as values for JSON."""
    return {
        "trust_domain": snapshot.settings.trust_domain,
        "pods": [_pod(load, snapshot) for load in snapshot.workloads],
        "services": [
            {"host": each.host, "name": each.meta.name, "namespace": each.meta.namespace}
            for each in snapshot.services
        ],
    }


def _pod(load: Workload, snapshot: Snapshot) -> dict[str, Any]:
    labels = load.labels
    return {
        "name": load.proxy_name,
        "namespace": load.meta.namespace,
        "address": load.address,
        "workload": load.owner or load.meta.name,
        "service_account": load.service_account,
        "app": labels.get("app"),
        "version": labels.get("version"),
        "canonical_service": _first(labels, NAME_LABELS) or load.owner or load.meta.name,
        "canonical_revision": _first(labels, REVISION_LABELS) or "latest",
        "is_gateway": load.is_gateway,
        "has_proxy": load.has_proxy,
        "services": {str(port): host for port, host in _served(load, snapshot.services).items()},
    }


def _first(labels: Labels, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := labels.get(name))), "")


def _served(load: Workload, services: tuple[Service, ...]) -> dict[int, str]:
    """Ports of the pod, with the oldest service that leads to each."""
    found: dict[int, str] = {}
    mine = [each for each in services if each.meta.namespace == load.meta.namespace and each.selector]
    for service in sorted(mine, key=lambda each: each.meta.age):
        if not load.labels.includes(service.selector):
            continue
        for port in service.ports:
            target = port.target if isinstance(port.target, int) else _named(load, port.target) or port.number
            if port.protocol is not Protocol.UDP:
                found.setdefault(target, service.host)
    return found


def _named(load: Workload, name: str | None) -> int | None:
    return next((each.number for each in load.ports if name and each.name == name), None)
