"""Envoy's own words (collected from Envoy 1.40), and the field that is to blame for them."""

from pathlib import Path

import pytest

from meshwright.compiler.compile import Compiler
from meshwright.model.names import ProxyName, ResourceName, TypeUrl
from meshwright.model.published import EncodedResource
from meshwright.status.blame import blame, concerned_by
from meshwright.store.names import Key, Resource
from meshwright.wiring.loading import load
from meshwright.wiring.snapshot import offline_snapshot

GROUP = "networking.istio.io"
BOOKINFO = (Path(__file__).parents[1] / "golden" / "bookinfo.yaml").read_text()
RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /other}}]
    headers: {response: {add: {x-b: "%METADATA(NOSUCH:a)%"}}}
    route: [{destination: {host: reviews}}]
  - headers: {request: {set: {x-a: "%PROTOCOL(x)%"}}}
    route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: two}
spec:
  hosts: [ratings]
  http:
  - match: [{headers: {x-c: {regex: "[a-z]{1,1000}q"}}}]
    route: [{destination: {host: ratings}}]
    headers: {request: {set: {x-d: "%COMMON_DURATION(a:b:c)%"}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: files}
spec:
  host: ratings
  trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/no-such/ca.pem}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: files, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [shop.example.com]
    tls: {mode: SIMPLE, serverCertificate: /etc/no-such/s.pem, privateKey: /etc/no-such/s.key}
"""
ONE, TWO = (Key(Resource(GROUP, "virtualservices"), "default", name) for name in ("one", "two"))
FILES = Key(Resource(GROUP, "destinationrules"), "default", "files")
GATE = Key(Resource(GROUP, "gateways"), "istio-system", "files")
ROUTES = "route.v3.RouteConfiguration", "9080"
RATINGS = "cluster.v3.Cluster", "outbound|9080||ratings.default.svc.cluster.local"
HTTPS = "listener.v3.Listener", "0.0.0.0_8443"


def resource(proxy: str, kind: str, name: str) -> EncodedResource:
    loaded = load([("bookinfo", BOOKINFO), ("rules", RULES)])
    published = Compiler().compile(offline_snapshot(loaded.objects, loaded.settings))
    found = published.resources_of(ProxyName(proxy))
    assert found is not None
    return found[TypeUrl(f"type.googleapis.com/envoy.config.{kind}")][ResourceName(name)]


@pytest.mark.parametrize(
    ("place", "words", "culprit", "field"),
    [
        (ROUTES, "PROTOCOL does not take any parameters or length", ONE, "spec.http[1].headers.request"),
        (ROUTES, "NOSUCH is not supported type of metadata", ONE, "spec.http[0].headers.response"),
        (ROUTES, "regex '[a-z]{1,1000}q' is too large", TWO, "spec.http[0].match[0]"),
        (
            RATINGS,
            f"Error adding/updating cluster(s) {RATINGS[1]}: Invalid path: /etc/no-such/ca.pem",
            FILES,
            "spec.trafficPolicy.tls",
        ),
        (
            HTTPS,
            "0.0.0.0_8443: Failed to load private key from path: /etc/no-such/s.key",
            GATE,
            "spec.servers[0]",
        ),
    ],
)
def test_the_field_that_envoy_quotes(place: tuple[str, str], words: str, culprit: Key, field: str) -> None:
    proxy = "gateway.istio-system" if place is HTTPS else "client.default"
    made = resource(proxy, *place)
    assert blame(made, words, concerned_by(made)).fields == ((culprit, field),)


def test_plain_words_are_no_evidence_and_all_new_rules_are_suspects() -> None:
    made = resource("client.default", *ROUTES)
    words = "Invalid common duration precision: c."
    assert blame(made, words, concerned_by(made)).keys == (ONE, TWO)


def test_the_field_of_the_only_suspect_is_found_by_common_words() -> None:
    made = resource("client.default", *ROUTES)
    words = "Invalid common duration precision: c."
    assert blame(made, words, {TWO}).fields == ((TWO, "spec.http[0].headers.request"),)


def test_who_was_taken_before_is_not_suspected_while_somebody_is_new() -> None:
    made = resource("client.default", *ROUTES)
    assert blame(made, "PROTOCOL does not take any parameters or length", {TWO}).keys == (TWO,)
