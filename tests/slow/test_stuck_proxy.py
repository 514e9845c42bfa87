"""One Envoy is stopped while TLS modes change between the others, under load: nobody waits for it, none fails."""

import contextlib
import json
from collections.abc import Generator
from typing import Any

import pytest
import yaml

from meshwright.processes import procfs
from tests.live.mesh import Mesh
from tests.slow.load.world import APPS, SECURITY, Api, load, loaded_mesh, traced
from tests.slow.victims import in_pods, stopped

pytestmark = pytest.mark.timeout(300)
STUCK = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "stuck", "namespace": "load"},
    "spec": {
        "selector": {"matchLabels": {"app": "stuck"}},
        "template": {
            "metadata": {"labels": {"app": "stuck"}},
            "spec": {"containers": [{"name": "stuck", "image": "example/stuck", "command": ["sleep", "infinity"]}]},
        },
    },
}
LEFT_OUT, LATE = "is stopped: nobody waits for it", "not waited for any longer"


@pytest.fixture(scope="module")
def mesh() -> Generator[Mesh]:
    with loaded_mesh() as made:
        made.run("apply", "-f", "-", stdin=yaml.safe_dump(STUCK))
        made.eventually(lambda: stuck_envoy(made) is not None, "it runs")
        made.eventually(lambda: all(pod["ready"] for pod in made.status()["pods"]), "all pods are ready")
        yield made


def stuck_envoy(mesh: Mesh) -> procfs.ProcessId | None:
    return in_pods(mesh).get(("stuck", "envoy"))


def set_mode(api: Api, mode: str) -> None:
    path = f"{SECURITY}/peerauthentications"
    kind = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
    meta, spec = {"name": "default", "namespace": "load"}, {"mtls": {"mode": mode}}
    if any(each["metadata"]["name"] == "default" for each in api.get(path)["items"]):
        api.patch(f"{path}/default", {"spec": spec})
    else:
        api.create(path, {**kind, "metadata": meta, "spec": spec})


def receipt(mesh: Mesh) -> Any:
    """That of the newest change, as `history` tells it."""
    [newest] = json.loads(mesh.run("history", "--limit", "1", "-o", "json").stdout)
    assert newest["objects"] == ["PeerAuthentication load/default"]
    return newest["receipt"]


def is_live_but_for_the_stuck(mesh: Mesh) -> bool:
    found = receipt(mesh)
    if found is None or found["steps"]:
        return False
    missing = [*found["waiting"], *found["absent"]]  # absent: after some seconds of silence
    return [name.partition("-")[0] for name in missing] == ["stuck"]


def log(mesh: Mesh) -> str:
    return (mesh.data / "logs" / "control-plane.log").read_text()


def test_modes_change_between_all_others_without_waiting_for_it(mesh: Mesh) -> None:
    """That the steps were taken at once is seen by what they say: they did not use up their bound, and every other
    proxy runs the last step while the stopped one has not acknowledged the first.
    """
    envoy = stuck_envoy(mesh)
    assert envoy is not None
    with contextlib.closing(Api(mesh)) as api, load(mesh) as seen:
        for mode in ("DISABLE", "STRICT", "DISABLE", "PERMISSIVE"):
            told = log(mesh).count(LEFT_OUT)
            with stopped(envoy):
                set_mode(api, mode)
                mesh.eventually(lambda: is_live_but_for_the_stuck(mesh), f"{mode} is live on all others")
                assert log(mesh).count(LEFT_OUT) > told
            mesh.eventually(lambda: all(proxy["synced"] for proxy in mesh.status()["proxies"]), "it has caught up")
    print(seen.table())
    assert LATE not in log(mesh), "no step waited as long as it may"
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())
    assert stuck_envoy(mesh) == envoy, "it was not started anew"


def test_a_pod_leaves_without_waiting_for_it(mesh: Mesh) -> None:
    """The drain barrier is such a wait too."""
    envoy = stuck_envoy(mesh)
    assert envoy is not None
    with contextlib.closing(Api(mesh)) as api, load(mesh) as seen:
        told = log(mesh).count(LEFT_OUT)
        with stopped(envoy):
            api.scale("backend-v1", 1)
            mesh.eventually(
                lambda: api.rolled_out(f"{APPS}/deployments/backend-v1"),
                "the pod is gone",
            )
            assert log(mesh).count(LEFT_OUT) > told
        mesh.eventually(lambda: all(proxy["synced"] for proxy in mesh.status()["proxies"]), "it has caught up")
    assert LATE not in log(mesh)
    assert seen.failed == 0, traced(mesh, seen)
