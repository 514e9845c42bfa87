"""Injected delays and aborts, and that the backend never sees an aborted request."""

import math

from tests.live.mesh import Mesh

URL = "http://fault:8000"


def test_abort_answers_itself(mesh: Mesh) -> None:
    answers = mesh.ask(URL + "/abort", count=10, headers={"x-test-id": "abort"})
    assert [answer.status for answer in answers] == [418] * 10
    assert "abort" not in {**mesh.counts("echo-v1"), **mesh.counts("echo-v2")}


def test_half_of_the_requests_abort(mesh: Mesh) -> None:
    count = 400
    answers = mesh.ask(URL + "/half", count=count)
    aborted = sum(answer.status == 503 for answer in answers)
    assert abs(aborted - count / 2) < 5 * math.sqrt(count / 4)


def test_delay_holds_back_and_then_serves(mesh: Mesh) -> None:
    delayed, straight = mesh.one(URL + "/delay"), mesh.one(URL + "/other")
    assert delayed.status == straight.status == 200
    assert delayed.seconds >= 0.7 > straight.seconds
