"""An endpoint that fails in a row is ejected; the other serves everything."""

from tests.live.mesh import Mesh

URL = "http://outlier-detection:8000/"


def test_the_failing_endpoint_is_ejected(mesh: Mesh) -> None:
    first = [answer.status for answer in mesh.ask(URL, count=12)]
    assert first.count(500) >= 3
    mesh.eventually(
        lambda: {answer.status for answer in mesh.ask(URL, count=20)} == {200},
        "only the steady endpoint answers",
    )
