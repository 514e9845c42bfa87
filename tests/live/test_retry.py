"""http[].retries, and what is retried without asking."""

from tests.live.mesh import Mesh

URL = "http://retry:8000"


def test_failures_are_tried_again(mesh: Mesh) -> None:
    answer = mesh.one(URL + "/flaky/2/503?id=three-tries", headers={"x-test-id": "retry"})
    assert answer.status == 200
    assert mesh.counts("echo-v1")["retry"] == 3
    assert answer.json["headers"]["x-envoy-attempt-count"] == "3"


def test_attempts_0_switches_retries_off(mesh: Mesh) -> None:
    assert mesh.one(URL + "/status/503", headers={"x-test-id": "no-retry"}).status == 503
    assert mesh.counts("echo-v1")["no-retry"] == 1


def test_a_plain_503_is_not_retried_by_default(mesh: Mesh) -> None:
    assert mesh.one("http://traffic-split:8000/status/503", headers={"x-test-id": "default-retry"}).status == 503
    both = mesh.counts("echo-v1").get("default-retry", 0) + mesh.counts("echo-v2").get("default-retry", 0)
    assert both == 1
