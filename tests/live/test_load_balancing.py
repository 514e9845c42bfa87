"""ROUND_ROBIN gives every endpoint the same number of requests."""

from tests.live.mesh import Mesh


def test_round_robin_is_even(mesh: Mesh) -> None:
    seen = mesh.versions("http://load-balancing:8000/", 40)
    assert seen == {"v1": 20, "v2": 20}
