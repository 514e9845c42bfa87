"""A mirrored request reaches both versions; the answer comes from the routed one."""

from tests.live.mesh import Mesh


def test_every_request_is_copied(mesh: Mesh) -> None:
    answers = mesh.ask("http://mirror:8000/", count=50, headers={"x-test-id": "mirror"})
    assert {answer.version for answer in answers} == {"v1"}
    assert mesh.counts("echo-v1")["mirror"] == 50
    mesh.eventually(lambda: mesh.counts("echo-v2").get("mirror") == 50, "all copies at v2")
