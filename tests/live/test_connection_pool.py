"""Circuit breaking: beyond the limits of the pool, requests fail at once with 503 and the overflow flag."""

from concurrent.futures import ThreadPoolExecutor

from tests.live.mesh import Answer, Mesh

URL = "http://connection-pool:8000"


def test_one_at_a_time_is_served(mesh: Mesh) -> None:
    assert {answer.status for answer in mesh.ask(URL + "/", count=5)} == {200}


def test_overflow_is_refused(mesh: Mesh) -> None:
    def slow(_: int) -> Answer:
        return mesh.one(URL + "/sleep/1500")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(slow, range(6)))
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert all(answer.headers.get("x-envoy-overloaded") == "true" for answer in refused)
    assert any(answer.status == 200 for answer in answers)
