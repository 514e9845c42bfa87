"""Rules in words."""

import pytest

from meshwright.model.hosts import covers
from meshwright.wiring.describe_words import http_words, policy_words, stream_words, time_words
from meshwright.wiring.loading import load

HEAD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: demo}
spec:
  hosts: [a]
  http:
"""
STREAM = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: demo}
spec:
  hosts: [a]
  tcp:
  - match: [{port: 9000}]
    route: [{destination: {host: b, port: {number: 9000}}}]
"""
POLICY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: demo}
spec:
  host: a
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL}
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 3}
    portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]
"""
B = "b.demo.svc.cluster.local"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("route: [{destination: {host: b}}]", f"all requests: to {B}"),
        (
            (
                "match: [{uri: {prefix: /a}, method: {exact: GET}}, {headers: {x: {regex: 'y.*'}}}]\n"
                "    route: [{destination: {host: b}}]"
            ),
            f"requests with path /a*, method GET, or with header x ~ y.*: to {B}",
        ),
        (
            (
                "route: [{destination: {host: b, subset: v1}, weight: 1}, {destination: {host: b}, weight: 3}]\n"
                "    timeout: 1.5s\n    retries: {attempts: 2, perTryTimeout: 1s}"
            ),
            f"all requests: 25% to {B} subset v1, 75% to {B}; timeout 1500ms; retries 2, 1s each",
        ),
        ("redirect: {authority: c.com, redirectCode: 308}", "all requests: redirected (308) to c.com"),
        (
            (
                "fault: {delay: {fixedDelay: 2s, percentage: {value: 50}},\n"
                "      abort: {httpStatus: 503, percentage: {value: 1}}}\n"
                "    route: [{destination: {host: b}}]"
            ),
            f"all requests: to {B}; 50% delayed by 2s; 1% aborted with 503",
        ),
    ],
)
def test_http_rules(rule: str, words: str) -> None:
    loaded = load([("a.yaml", f"{HEAD}  - {rule}\n")])
    assert not loaded.diagnostics
    assert http_words(loaded.objects.virtual_services[0].http[0]) == words


def test_stream_rules() -> None:
    [rule] = load([("a.yaml", STREAM)]).objects.virtual_services
    assert stream_words(rule.tcp[0]) == f"connections with port 9000: to {B} port 9000"


def test_policies() -> None:
    [rule] = load([("a.yaml", POLICY)]).objects.destination_rules
    assert policy_words(rule.policy) == [
        "TLS ISTIO_MUTUAL",
        "load balancing ROUND_ROBIN",
        "outlier detection: consecutive_5xx 3",
        "port 80: TLS DISABLE",
    ]
    assert policy_words(None) == []


def test_times_and_hosts() -> None:
    assert (time_words(2000), time_words(150)) == ("2s", "150ms")
    assert covers("*", "a.b")
    assert covers("*.b", "a.b")
    assert not covers("*.b", "b")
    assert not covers("a.c", "a.b")
