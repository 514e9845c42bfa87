"""kill -9 of the control plane in the middle of changes of TLS modes, under load: the next one goes on where the one
before was, no request fails, the change becomes live, and its receipt says so.
"""

import contextlib
import http.client
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
import yaml

from meshwright.cli.control import ask
from meshwright.cli.failure import UnreachableFailure
from meshwright.wiring.tls_steps import Stage
from tests.live.mesh import Mesh
from tests.slow.load.world import Api, load, traced
from tests.slow.test_hostile_pod import attacking, pod_of, xds_socket
from tests.slow.test_silent_proxy import POLICY, is_well, mesh_with_silent
from tests.slow.victims import kill, ours

pytestmark = pytest.mark.timeout(600)
ROUNDS = 3  # of all kinds of steps
SOONER = 9  # kills at moments that nobody chose
RULE = "DestinationRule load/backend"
CLIENTS = {"STRICT": "ISTIO_MUTUAL", "DISABLE": "DISABLE", "PERMISSIVE": None}


@pytest.fixture(scope="module")
def mesh() -> Generator[Mesh]:
    with mesh_with_silent() as made:
        yield made


def subsets(api: Api) -> list[dict[str, Any]]:
    """Those of the rule that the load needs."""
    return api.get("/apis/networking.istio.io/v1/namespaces/load/destinationrules/backend")["spec"]["subsets"]


def change_modes(mesh: Mesh, mode: str, kept: list[dict[str, Any]]) -> int:
    """The mode of the namespace and what the rule tells its clients, in one change; its number, 0 where it is so."""
    tls = CLIENTS[mode]
    policy = {"tls": {"mode": tls}} if tls else {"connectionPool": {"tcp": {"maxConnections": 10_000}}}
    documents = [
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "load"},
            "spec": {"mtls": {"mode": mode}},
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": "backend", "namespace": "load"},
            "spec": {"host": "backend", "subsets": kept, "trafficPolicy": policy},
        },
    ]
    texts = [{"file": "modes.yaml", "text": yaml.safe_dump_all(documents)}]
    return int(ask(mesh.data, "apply", texts=texts, wait=0)["change"] or 0)


def asked(mesh: Mesh, operation: str, **fields: Any) -> dict[str, Any]:
    """The answer; asked again where the control plane was killed before it answered."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        with contextlib.suppress(UnreachableFailure):
            answers.append(ask(mesh.data, operation, **fields))
        return bool(answers)

    mesh.eventually(answered, f"{operation} is answered")
    return answers[-1]


def receipt(mesh: Mesh, change: int) -> dict[str, Any] | None:
    found = asked(mesh, "changes", limit=10)["changes"]
    [mine] = [each for each in found if each["number"] == change]
    assert sorted(mine["objects"]) == sorted([POLICY, RULE])
    return mine["receipt"]


def is_live(mesh: Mesh, change: int) -> bool:
    found = receipt(mesh, change)
    return found is not None and found["live"] and not found["steps"]


def is_open(mesh: Mesh, change: int, stage: Stage) -> bool:
    found = receipt(mesh, change)
    assert found is not None
    assert not found["live"], "not before its order is kept"
    return found["steps"] == [stage.value] and len(found["waiting"]) == 1


def wait_until_well(mesh: Mesh) -> None:
    def claim() -> bool:
        try:
            return is_well(mesh)
        except (AssertionError, OSError, http.client.HTTPException):
            return False

    mesh.eventually(claim, "all is well", 60)


# The mode before, the mode after, and the step of that change which a proxy without answers holds open.
KINDS = [
    ("DISABLE", "STRICT", Stage.OPENING),
    ("STRICT", "DISABLE", Stage.OPENING),
    ("PERMISSIVE", "DISABLE", Stage.MOVING),
    ("PERMISSIVE", "STRICT", Stage.MOVING),
]


def test_killed_while_a_step_is_open(mesh: Mesh) -> None:
    """The step is still open in the next control plane, and the order is kept to its end."""
    with contextlib.closing(Api(mesh)) as api:
        kept = subsets(api)
    with load(mesh) as seen:
        for before, after, stage in KINDS * ROUNDS:
            first = change_modes(mesh, before, kept)
            if first:
                mesh.eventually(lambda change=first: is_live(mesh, change), f"{before} is live")
            wait_until_well(mesh)
            killed_in(mesh, stage, lambda mode=after: change_modes(mesh, mode, kept))
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)
    assert all(stream["requests"] for stream in seen.streams.values())


def killed_in(mesh: Mesh, stage: Stage, make: Callable[[], int]) -> None:
    """Make a change, and kill the control plane while this step of it is open."""
    pod = pod_of(mesh, "silent")
    with attacking(pod, xds_socket(mesh, pod), "tests.xds.silent_program") as silence:
        mesh.eventually(lambda: silence.done > 0, "it has got something to acknowledge")
        change = make()
        mesh.eventually(lambda: is_open(mesh, change, stage), f"{stage} is open", 3)
        kill(ours(mesh, "control-plane"))
        mesh.eventually(lambda: steps(mesh, change) == [stage.value], f"{stage} is open again", 20)
    mesh.eventually(lambda: is_live(mesh, change), "it is live", 60)
    wait_until_well(mesh)


def steps(mesh: Mesh, change: int) -> list[str]:
    found = receipt(mesh, change)
    return [] if found is None else found["steps"]


def test_killed_at_any_moment_of_a_change(mesh: Mesh) -> None:
    """Nobody holds a step open: the kill comes some milliseconds after the change is stored, or before it is."""
    with contextlib.closing(Api(mesh)) as api:
        kept = subsets(api)
    with load(mesh) as seen:
        for number in range(SOONER):
            mode = ("DISABLE", "STRICT", "PERMISSIVE")[number % 3]
            change = change_modes(mesh, mode, kept)
            time.sleep(0.004 * (number % 6))  # which moment that is, is the machine's choice
            kill(ours(mesh, "control-plane"))
            mesh.eventually(lambda change=change: is_in_effect(mesh, change), f"{mode} is live", 60)
            wait_until_well(mesh)
    print(seen.table())
    assert seen.failed == 0, traced(mesh, seen)


def is_in_effect(mesh: Mesh, change: int) -> bool:
    """Of changes that were all done before the control plane began it knows no receipt."""
    found = receipt(mesh, change)
    return found is None or bool(found["live"])
