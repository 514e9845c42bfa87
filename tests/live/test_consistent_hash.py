"""Consistent hash: one user stays on one endpoint, many users use all."""

from tests.live.mesh import Mesh

URL = "http://consistent-hash:8000/"


def test_a_user_stays(mesh: Mesh) -> None:
    pods: set[str] = set()
    for user in range(12):
        answers = mesh.ask(URL, count=10, headers={"x-user": f"user-{user}"}, keep_alive=False)
        mine = {answer.json["pod"] for answer in answers}
        assert len(mine) == 1
        pods |= mine
    assert len(pods) == 2
