"""http[].rewrite changes path and authority on the way."""

from tests.live.mesh import Mesh

URL = "http://rewrite:8000"


def test_prefix_and_authority(mesh: Mesh) -> None:
    seen = mesh.one(URL + "/old/shoes?size=9").json
    assert seen["path"] == "/new/shoes?size=9"
    assert seen["headers"]["host"] == "renamed.example"


def test_regex(mesh: Mesh) -> None:
    assert mesh.one(URL + "/item/42").json["path"] == "/things/42"


def test_other_paths_stay(mesh: Mesh) -> None:
    assert mesh.one(URL + "/keep").json["path"] == "/keep"
