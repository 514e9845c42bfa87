"""One of the last requests becomes a question: who asks, for what."""

from typing import Any

import pytest

from meshwright.wiring.explaining import Question, QuestionError, explain
from meshwright.wiring.loading import load
from meshwright.wiring.local_mesh import profile_texts, sample_texts
from meshwright.wiring.logged_requests import question_of
from meshwright.wiring.offline import OfflineMesh

MESH = OfflineMesh(load([*profile_texts("demo"), *sample_texts()])).explainable()
RECORD: dict[str, Any] = {
    "source": "default/productpage-v1",
    "destination": "default/details-v1",
    "service": "details.default.svc.cluster.local",
    "protocol": "http",
    "scheme": "http",
    "method": "GET",
    "path": "/details/0?a=b",
    "authority": "details:9080",
    "code": "200",
    "failure": None,
}


def question(**other: Any) -> Question:
    return question_of(MESH.snapshot, {**RECORD, **other})


def test_a_workload_asks_as_it_did() -> None:
    asked = question()
    assert asked == Question(
        "deploy/productpage-v1.default", "http://details:9080/details/0?a=b", "GET", (), "default"
    )
    answer = explain(MESH, asked)
    assert (answer["outcome"], answer["destinations"][0]["cluster"]) == (
        "forward",
        "outbound|9080||details.default.svc.cluster.local",
    )


def test_the_scheme_of_a_workloads_request_is_what_its_application_sent() -> None:
    assert question(scheme="https").url.startswith("http://")
    assert question(protocol="grpc", path="/a.B/C", method="POST").url == "grpc://details:9080/a.B/C"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_gateways_requests_come_from_outside(scheme: str) -> None:
    asked = question(source="istio-system/istio-ingressgateway", authority="shop.test:8080", scheme=scheme, path="/")
    assert (asked.caller, asked.url) == ("outside", f"{scheme}://shop.test:8080/")


def test_an_old_record_without_a_scheme() -> None:
    assert question(source="istio-system/istio-ingressgateway", scheme=None).url.startswith("http://")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"source": "unknown"}, "who sent this request is not known"),
        ({"source": None}, "who sent this request is not known"),
        ({"source": "default/gone"}, "default/gone, which sent this request, does not run any more"),
        ({"method": None, "path": None}, "this is a connection"),
    ],
)
def test_what_cannot_be_asked(other: dict[str, Any], words: str) -> None:
    with pytest.raises(QuestionError, match=words):
        question(**other)
