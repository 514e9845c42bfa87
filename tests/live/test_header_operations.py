"""http[].headers changes requests and responses."""

from tests.live.mesh import Mesh


def test_set_add_remove(mesh: Mesh) -> None:
    answer = mesh.one(
        "http://header-operations:8000/",
        headers={"x-set": "client", "x-add": "client", "x-gone": "client"},
    )
    seen = answer.json["headers"]
    assert seen["x-set"] == "mesh"
    assert seen["x-destination"] == "yes"
    assert "mesh" in seen["x-add"]
    assert "x-gone" not in seen
    assert answer.headers["x-answer"] == "mesh"
    assert "x-echo" not in answer.headers
