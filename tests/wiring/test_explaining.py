"""Questions as newcomers ask them: the wrong port, the wrong protocol, a name that nobody has."""

from typing import Any

import pytest

from meshwright.wiring.explaining import Question, QuestionError, explain
from meshwright.wiring.loading import load
from meshwright.wiring.offline import OfflineMesh
from tests.evaluator.generator import NAMESPACE, workloads

CLIENT = f"deploy/client-v1.{NAMESPACE}"
STRICT = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""


def answer(url: str, caller: str = CLIENT, method: str = "GET", more: str = "") -> dict[str, Any]:
    mesh = OfflineMesh(load([("base", workloads("python3", "/programs") + more)]))
    return explain(mesh.explainable(), Question(caller, url, method))


def refused(url: str, caller: str = CLIENT, method: str = "GET") -> str:
    with pytest.raises(QuestionError) as error:
        answer(url, caller, method)
    return str(error.value)


def whys(found: dict[str, Any], verdict: str) -> list[str]:
    return [step["why"] for step in found["steps"] if step["verdict"] == verdict]


def test_a_port_that_the_service_does_not_have_is_named_first() -> None:
    found = answer("http://cart/")
    assert (found["outcome"], found["status"]) == ("fail", 503)
    assert found["steps"][0]["why"] == "cart.shop.svc.cluster.local has no port 80; it has 8000"
    assert found["steps"][0]["origin"]["name"] == "cart"
    assert "has no port 80; it has 8000" in found["destinations"][0]["problem"]


def test_what_passes_all_rules_still_reaches_the_pods_of_the_service() -> None:
    """A connection to a service's address that no rule takes goes there, as it does without a mesh."""
    found = answer("tcp://cart:8000")
    assert found["outcome"] == "forward"
    assert found["destinations"][0]["cluster"] == "PassthroughCluster"
    [refusal] = set(whys(answer("tcp://cart:8000", more=STRICT), "refused"))
    assert refusal.endswith("does not take plain text on port 8000 (its mutual TLS mode is STRICT)")


def test_tls_of_the_callers_own_to_a_port_for_http() -> None:
    found = answer("https://cart:8000/")
    assert found["outcome"] == "fail"
    [refusal, *_] = whys(found, "refused")
    assert refusal.endswith("does not take this TLS on port 8000 (it takes plain text there, and the mesh's own TLS)")
    [refusal, *_] = whys(answer("https://cart:8000/", more=STRICT), "refused")
    assert refusal.endswith("wants a client certificate of the mesh")


def test_a_server_that_looks_into_no_connection_takes_the_callers_own_tls() -> None:
    """Mode DISABLE: its inspectors are off at this port, so to it TLS is bytes like others."""
    found = answer("https://secure:8443", more=STRICT.replace("STRICT", "DISABLE"))
    assert (found["outcome"], found["destinations"][0]["encryption"]) == ("forward", "plain")


def test_tls_of_a_destination_rule_to_a_server_that_speaks_plain_http() -> None:
    rule = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec: {host: cart, trafficPolicy: {tls: {mode: SIMPLE}}}
"""
    found = answer("http://cart:8000/", more=STRICT.replace("STRICT", "DISABLE") + rule)
    assert (found["outcome"], found["status"]) == ("fail", 503)
    assert "does not end the TLS that its DestinationRule wants" in found["destinations"][0]["problem"]


@pytest.mark.parametrize(
    ("url", "method", "told"),
    [
        ("http://[::1]:8000/", "GET", "does not carry IPv6"),
        ("http://cart:8000/a b", "GET", "write %20 instead"),
        ("http://cart:8000/", "GE T", "'GE T' is no method"),
        ("ftp://cart:8000/", "GET", "is no URL"),
        ("tcp://cart", "GET", "lacks a port"),
    ],
)
def test_what_cannot_be_asked_says_what_to_write(url: str, method: str, told: str) -> None:
    assert told in refused(url, method=method)


def test_a_misspelt_pod() -> None:
    assert "did you mean client-v1.shop?" in refused("http://cart:8000/", f"deploy/client.{NAMESPACE}")
    with pytest.raises(QuestionError, match="no pods are known"):
        explain(OfflineMesh(load([("empty", "")])).explainable(), Question("a.b", "http://cart/"))
