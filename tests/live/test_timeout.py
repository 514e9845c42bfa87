"""http[].timeout ends a slow request with 504."""

from tests.live.mesh import Mesh


def test_slow_is_cut_and_quick_is_served(mesh: Mesh) -> None:
    slow = mesh.one("http://timeout:8000/sleep/3000")
    assert slow.status == 504
    assert 0.5 <= slow.seconds < 2.9
    assert mesh.one("http://timeout:8000/sleep/10").status == 200
