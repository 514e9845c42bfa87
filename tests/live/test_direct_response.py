"""http[].directResponse is answered by the proxy."""

from tests.live.mesh import Mesh


def test_status_and_body(mesh: Mesh) -> None:
    answer = mesh.one("http://direct-response:8000/teapot", headers={"x-test-id": "direct"})
    assert (answer.status, answer.body) == (418, "short and stout")
    assert "direct" not in {**mesh.counts("echo-v1"), **mesh.counts("echo-v2")}
    assert mesh.one("http://direct-response:8000/other").status == 200
