"""http[].redirect is answered by the proxy."""

from tests.live.mesh import Mesh

URL = "http://redirect:8000"


def test_code_authority_and_path(mesh: Mesh) -> None:
    answer = mesh.one(URL + "/moved", headers={"x-test-id": "redirect"})
    assert (answer.status, answer.headers["location"]) == (308, "http://elsewhere.example/here")
    assert "redirect" not in {**mesh.counts("echo-v1"), **mesh.counts("echo-v2")}


def test_default_code(mesh: Mesh) -> None:
    answer = mesh.one(URL + "/plain")
    assert answer.status == 301
    assert answer.headers["location"].endswith("/there")
