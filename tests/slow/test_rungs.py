"""The demo on each of the three rungs, from `up` to nothing left."""

import os

import pytest

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
def test_the_demo_from_up_to_nothing_left(rung: str) -> None:
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
