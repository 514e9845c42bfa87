"""`describe` on a real mesh: what objects mean, for people and for programs."""

import json
from typing import Any

import pytest

from tests.live.mesh import Mesh, apply, echo_service

RULES = (
    echo_service("told")
    + """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: told, namespace: live}
spec:
  host: told
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v9, labels: {version: v9}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: told, namespace: live}
spec:
  hosts: [told]
  http:
  - match: [{uri: {prefix: /new}}, {headers: {x-user: {exact: ann}}}]
    timeout: 2s
    route:
    - {destination: {host: told, subset: v1}, weight: 90}
    - {destination: {host: told, subset: v9}, weight: 10}
  - directResponse: {status: 410}
"""
)


@pytest.fixture(autouse=True)
def told(mesh: Mesh) -> None:
    """A service with rules of this module's own."""
    apply(mesh, RULES)


def text(mesh: Mesh, *words: str) -> str:
    return mesh.run("describe", *words, "-n", "live").stdout


def value(mesh: Mesh, *words: str) -> Any:
    return json.loads(mesh.run("describe", *words, "-n", "live", "-o", "json").stdout)


def test_a_service_with_everything_that_has_a_say(mesh: Mesh) -> None:
    said = text(mesh, "svc", "told")
    assert "Name:         told (<stdin>:2)" in said
    assert "Routed by VirtualService live/told (<stdin>:19):" in said
    assert "Spoken to by DestinationRule live/told (<stdin>:9):" in said
    assert "connection pool: max_connections 7" in said
    found = value(mesh, "service/told")
    assert found["host"] == "told.live.svc.cluster.local"
    assert all(each["ready"] for each in found["endpoints"])
    assert {each["pod"] for each in found["endpoints"]} == set(found["mutual_tls"])


def test_routes_in_words_with_their_lines(mesh: Mesh) -> None:
    said = text(mesh, "vs", "told")
    host = "told.live.svc.cluster.local"
    first = (
        f"1. requests with path /new*, or with header x-user ann: 90% to {host} subset v1, 10% to {host} subset v9"
    )
    assert f"{first}; timeout 2s  [spec.http[0] (<stdin>:25)]" in said
    assert "2. all requests: answered with 410  [spec.http[1] (<stdin>:30)]" in said
    found = value(mesh, "vs", "told")
    assert found["changes"][0]["author"]
    assert found["changes"][0]["live"]
    assert any(each["name"].startswith("client-") for each in found["proxies"])


def test_a_subset_without_endpoints_is_told(mesh: Mesh) -> None:
    said = text(mesh, "dr", "told")
    assert "subset v9 (version=v9): no endpoint: requests to it fail" in said
    assert "MW0201" in said


def test_pods_have_an_identity_and_a_mode(mesh: Mesh) -> None:
    pods = value(mesh, "pods")
    client = next(each for each in pods if each["name"].startswith("client-"))
    assert client["identity"].startswith("spiffe://cluster.local/ns/live/sa/")
    assert client["proxy"]["connected"]
    assert client["mutual_tls"]["other_ports"] in {"PERMISSIVE", "STRICT"}
    assert f"Identity:     {client['identity']}" in text(mesh, "pod", client["name"])


def test_every_kind_can_be_described(mesh: Mesh) -> None:
    for kind in ("gateways", "peerauthentications", "serviceentries", "deployments", "secrets", "namespaces"):
        assert mesh.run("describe", kind, "-n", "live", check=False).returncode == 0
    assert mesh.run("describe", "nonsense", check=False).returncode == 2
    assert mesh.run("describe", "vs", "nobody", check=False).returncode == 1


def test_a_secret_stays_one(mesh: Mesh) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "quiet", "namespace": "live"},
        "stringData": {"word": "hush-hush"},
    }
    apply(mesh, json.dumps(document))
    assert "hush" not in mesh.run("describe", "secret", "quiet", "-n", "live", "-o", "json").stdout
