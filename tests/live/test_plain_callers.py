"""Pods without a proxy call services: kube-proxy's part, done by the sandbox."""

from collections.abc import Mapping

from tests.live.mesh import Mesh
from tests.slow.oracle.metrics import Series, told

STRANGER = "deploy/stranger.live"
COUNT = 10


def called(series: Mapping[Series, float], caller: str) -> float:
    """Requests of a caller, as the proxies of echo name it by the address that they see."""
    wanted = {
        "reporter": "destination",
        "source_workload": caller,
        "destination_canonical_service": "echo",
        "connection_security_policy": "none",
    }
    return sum(
        value
        for (metric, labels), value in series.items()
        if metric == "istio_requests_total" and wanted.items() <= dict(labels).items()
    )


def test_servers_see_who_calls_a_service(mesh: Mesh) -> None:
    before = told(mesh.data)
    answers = mesh.ask("http://echo:8000/", pod=STRANGER, count=COUNT)
    assert [answer.status for answer in answers] == [200] * COUNT

    def grown(caller: str) -> float:
        return called(told(mesh.data), caller) - called(before, caller)

    mesh.eventually(lambda: grown("stranger") == COUNT, "all are the stranger's")
    assert grown("unknown") == 0
