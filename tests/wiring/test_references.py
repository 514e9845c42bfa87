"""What an object refers to and nobody has is told at the door, as warnings; wrong only towards silence."""

import yaml

from meshwright.model import codes
from meshwright.model.objects import MeshObjects
from meshwright.wiring.loading import load
from meshwright.wiring.references import missing
from meshwright.wiring.validation import Door

KNOWN = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec: {selector: {a: b}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [GATEWAY]
  http:
  - route: [{destination: DESTINATION}]
"""


def warnings(destination: str, gateway: str = "shop", known: str = KNOWN) -> list[str]:
    objects = load([("known", known)]).objects if known else None

    def answer() -> MeshObjects | None:
        return objects

    value = yaml.safe_load(RULE.replace("DESTINATION", destination).replace("GATEWAY", gateway))
    found = Door(answer).field_errors(value)
    assert all(each.warning for each in found)
    return [each.path for each in found]


def test_what_is_there_is_no_warning() -> None:
    assert warnings("{host: reviews, subset: v1}") == []
    assert warnings("{host: api.example.com}", "mesh") == []


def test_what_is_not_there_is_told_with_its_field() -> None:
    assert warnings("{host: reviews, subset: v9}") == ["spec.http[0].route[0].destination.subset", "spec"]
    assert warnings("{host: nobody}") == ["spec.http[0].route[0].destination.host"]
    assert warnings("{host: reviews}", "nowhere") == ["spec.gateways[0]"]
    assert warnings("{host: reviews, port: {number: 80}}") == ["spec.http[0].route[0].destination.port.number"]


def test_what_was_probably_meant_is_told() -> None:
    rule = RULE.replace("GATEWAY", "shop").replace("DESTINATION", "{host: review, port: {number: 80}}")
    [found] = missing(load([("rule", rule)]).objects, load([("known", KNOWN)]).objects)
    assert found.fix == "did you mean reviews.default.svc.cluster.local?"


def test_what_comes_in_the_same_documents_is_there() -> None:
    """As a dry run asks, of what is there and of what would come."""
    rule = load([("rule", RULE.replace("GATEWAY", "shop").replace("DESTINATION", "{host: stock}"))]).objects
    stock = load([("stock", KNOWN.replace("reviews", "stock"))]).objects
    known = load([("known", KNOWN)]).objects
    assert [each.code for each in missing(rule, known)] == [codes.UNKNOWN_HOST]
    assert missing(rule, known, stock) == ()


def test_nothing_is_said_while_nothing_is_known() -> None:
    assert warnings("{host: nobody}", known="") == []
