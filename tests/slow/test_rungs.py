"""The demo on each of the three rungs, from `up` to nothing left."""

import os
from pathlib import Path

import pytest

from tests.live.kubectl import Kubectl, forwarded
from tests.live.mesh import Mesh
from tests.slow.bookinfo import (
    NOBODY,
    WITHOUT_NAMESPACES,
    as_nobody,
    bookinfo_mesh,
    marked,
    mesh_id,
    network_state,
    page,
)

RUNGS = {
    "root": ((), None),
    "user": (as_nobody(), NOBODY),
    "loopback": (WITHOUT_NAMESPACES, None),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rung", RUNGS)
def test_the_demo_from_up_to_nothing_left(rung: str, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "this test starts meshes as root and as an ordinary user, so it needs root"
    wrapper, uid = RUNGS[rung]
    before = network_state()
    with bookinfo_mesh(wrapper, uid) as mesh:
        said = mesh.up([], profile="demo")
        assert f"http://localhost:{mesh.host_port}/productpage" in said
        identity = mesh_id(mesh)
        serves_bookinfo(mesh)
        status = mesh.status()
        assert status["rung"] == rung
        if rung == "loopback":
            assert "demo, not enforcing" in status["enforces"]
        inside = mesh.run(
            "exec", "deploy/ratings-v1", "--", "curl", "-s", "http://productpage:9080/productpage"
        ).stdout
        assert "Simple Bookstore App" in inside
        assert all(each["synced"] for each in status["proxies"])
        assert len(status["proxies"]) == 7
        assert status["footprint"]["mib"] < 200
        serves_kubectl(Kubectl(mesh, "default"), tmp_path)
        assert network_state() == before, "the host's own network is untouched"
        mesh.down()
        assert marked(identity) == []
        assert not mesh.data.exists()
    assert network_state() == before


def serves_bookinfo(mesh: Mesh) -> None:
    """The page with all three versions of the reviews."""
    looks: set[str] = set()
    for _ in range(40):
        status, body = page(mesh.host_port)
        assert status == 200, body
        looks.add("red" if 'data-color="red"' in body else "black" if 'data-color="black"' in body else "none")
    assert looks == {"red", "black", "none"}


def serves_kubectl(kubectl: Kubectl, folder: Path) -> None:
    """Logs, exec, cp and port-forward, of the program and of its Envoy."""
    [pod] = kubectl.pods("productpage")
    assert "listening" in kubectl("logs", pod, "--timestamps")
    assert '"GET /reviews/0 HTTP/1.1" 200' in kubectl("logs", pod, "-c", "istio-proxy")
    assert kubectl.run("exec", pod, "--", "sh", "-c", "exit 7").returncode == 7
    sent = os.urandom(1_000_000)
    (folder / "sent").write_bytes(sent)
    place = f"/tmp/{folder.name}.copy"
    kubectl("cp", str(folder / "sent"), f"{pod}:{place}")
    kubectl("cp", f"{pod}:{place}", str(folder / "back"))
    kubectl("exec", pod, "--", "rm", place)
    assert (folder / "back").read_bytes() == sent
    with forwarded(kubectl, "svc/productpage", 9080) as (port, _):
        assert page(port, "/health")[0] == 200
