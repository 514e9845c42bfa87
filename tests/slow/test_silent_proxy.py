"""A proxy runs and never acknowledges, as a hostile client or a wedged Envoy does, while TLS modes change: the order
of that change waits for it, up to its bound, and nothing else does.
"""

import contextlib
import json
import os
from collections.abc import Generator
from typing import Any

import pytest
import yaml

from meshwright.cli.control import ask
from meshwright.wiring.tls_steps import Stage
from tests.live.mesh import Mesh
from tests.slow.load.world import Api, load, loaded_mesh, traced
from tests.slow.test_hostile_pod import Pod, attacking, change, pod_of, xds_socket
from tests.slow.test_stuck_proxy import LATE, STUCK, log, set_mode
from tests.slow.victims import in_pods

pytestmark = pytest.mark.timeout(300)
SILENT = json.loads(json.dumps(STUCK).replace("stuck", "silent"))
CHANGES = 10
TRIES = 5  # on a machine so busy that a step's bound passes before ten changes are made, it is tried again
POLICY = "PeerAuthentication load/default"


@contextlib.contextmanager
def mesh_with_silent() -> Generator[Mesh]:
    """The load's mesh and a pod whose proxy nobody has made silent yet; all are ready."""
    assert os.geteuid() == 0, "this test enters the namespaces of pods, so it needs root"
    with loaded_mesh() as made:
        made.run("apply", "-f", "-", stdin=yaml.safe_dump(SILENT))
        made.eventually(lambda: ("silent", "envoy") in in_pods(made), "it runs")
        made.eventually(lambda: is_well(made), "all pods are ready")
        yield made


@pytest.fixture(scope="module")
def mesh() -> Generator[Mesh]:
    with mesh_with_silent() as made:
        with contextlib.closing(Api(made)) as api:
            change(api, 0)
        yield made


def is_well(mesh: Mesh) -> bool:
    status = mesh.status()
    return all(pod["ready"] for pod in status["pods"]) and all(each["synced"] for each in status["proxies"])


def receipts(mesh: Mesh) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """At one moment: that of the newest change of the mode, and those of the changes after it."""
    found = ask(mesh.data, "changes", limit=CHANGES + 1)["changes"]
    *after, mode = found if found[-1]["objects"] == [POLICY] else [found[0], found[0]]
    return mode["receipt"], [each["receipt"] for each in after]


def are_live_but_for(pod: Pod, told: list[dict[str, Any]]) -> bool:
    """All others run these changes, which are in effect."""
    return all(
        {*each["waiting"], *each["absent"], *each["refused"]} <= {pod.name} and not each["steps"] for each in told
    )


def goes_on(mesh: Mesh, api: Api, pod: Pod, mode: str, stage: Stage) -> bool:
    """While the pod acknowledges nothing: set the mode, make changes. Whether there was a moment in which the first
    step that waits for the pod was open, and all changes that came after it were live on all others.
    """
    with attacking(pod, xds_socket(mesh, pod), "tests.xds.silent_program") as silence:
        mesh.eventually(lambda: silence.done > 0, "it has got something to acknowledge")
        set_mode(api, mode)
        for number in range(1, CHANGES + 1):
            change(api, number)
        while True:
            of_mode, others = receipts(mesh)
            assert not of_mode["live"], "not before its order is kept"
            if of_mode["steps"] != [stage.value]:
                return False
            assert of_mode["waiting"], "who is waited for has a name"
            if are_live_but_for(pod, others):
                assert len(others) == CHANGES
                assert of_mode["waiting"] == [pod.name]
                return True


def test_changes_go_on_while_a_step_waits_for_a_proxy_that_runs(mesh: Mesh, api: Api) -> None:
    """In each of the two kinds of step, under load. Afterwards the mode is live, also there."""
    with load(mesh) as seen:
        for mode, stage in (("DISABLE", Stage.MOVING), ("STRICT", Stage.OPENING)):
            before = "PERMISSIVE" if mode == "DISABLE" else "DISABLE"
            for _ in range(TRIES):
                set_mode(api, before)
                mesh.eventually(lambda: is_well(mesh), "all proxies run the mode before")
                if goes_on(mesh, api, pod_of(mesh, "silent"), mode, stage):
                    break
            else:
                pytest.fail(f"{stage}: no moment in which it was open and the others went on")
            mesh.eventually(lambda: receipts(mesh)[0]["live"], "the mode is live, now that all acknowledge")
            mesh.eventually(lambda: is_well(mesh), "all is well")
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())


def test_a_step_that_nobody_ends_ends_by_its_bound_and_names_the_straggler(mesh: Mesh, api: Api) -> None:
    """The mode is in force then on all others; who is late is waited for by no further change."""
    pod = pod_of(mesh, "silent")
    set_mode(api, "PERMISSIVE")
    mesh.eventually(lambda: is_well(mesh), "all proxies run the mode before")
    told = log(mesh).count(LATE)
    with attacking(pod, xds_socket(mesh, pod), "tests.xds.silent_program") as silence:
        mesh.eventually(lambda: silence.done > 0, "it has got something to acknowledge")
        for mode in ("DISABLE", "STRICT", "PERMISSIVE"):
            set_mode(api, mode)
            mesh.eventually(lambda: not newest(mesh)["steps"], f"the steps of {mode} are taken")
            mesh.eventually(lambda: newest(mesh)["waiting"] == [pod.name], f"{mode} is live on all others")
        lines = [line for line in log(mesh).splitlines() if LATE in line]
        assert len(lines) == told + 1, "the first change waited for it, no other"
        assert lines[-1].endswith(pod.name)
    mesh.eventually(lambda: newest(mesh)["live"], "it is live there too")


def newest(mesh: Mesh) -> dict[str, Any]:
    [found] = ask(mesh.data, "changes", limit=1)["changes"]
    assert found["objects"] == [POLICY]
    return found["receipt"]
