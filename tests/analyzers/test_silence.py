"""What looks like a mistake and is none: nothing is said."""

import pytest

from tests.analyzers.scenes import of_text

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: books, namespace: {space}}}
spec:
  hosts: [books.example.com]
  ports: [{{number: 8000, name: books, protocol: {protocol}}}]
  location: MESH_EXTERNAL
  resolution: DNS
  exportTo: ["."]
"""
SILENT = {
    "injection-off-and-a-revision": """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: disabled, istio.io/rev: test}}
""",
    "entries-that-nobody-sees-both-of": ENTRY.format(space="one", protocol="HTTP")
    + "---"
    + ENTRY.format(space="two", protocol="HTTPS"),
    "an-account-where-no-accounts-are-given": """
apiVersion: v1
kind: Pod
metadata: {name: shop, labels: {app: shop}}
spec:
  serviceAccountName: shop
  volumes: [{name: a, secret: {secretName: keys}}]
  containers: [{name: shop, image: shop}]
""",
    "subsets-by-place": """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop, labels: {app: shop, version: v1}}
spec:
  containers: [{name: shop, image: shop}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  subsets:
  - {name: here, labels: {topology.istio.io/cluster: Kubernetes}}
  - {name: elsewhere, labels: {version: v1, topology.istio.io/cluster: another}}
  - {name: zone, labels: {topology.kubernetes.io/zone: a, topology.istio.io/subzone: b}}
  - {name: network, labels: {topology.istio.io/network: net}}
""",
    "annotations-of-istio": """
apiVersion: v1
kind: Namespace
metadata: {name: istio-system, annotations: {topology.istio.io/controlPlaneClusters: "*"}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, annotations: {networking.istio.io/traffic-distribution: PreferClose}}
spec:
  hosts: [books.example.com]
  ports: [{number: 8000, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, annotations: {install.operator.istio.io/version: 1.30.0}}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.com], tls: {httpsRedirect: true}}]
""",
    "longer-path-first": """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http:
  - match: [{uri: {prefix: /api/v2}}]
    directResponse: {status: 200}
  - match: [{uri: {prefix: /api}, headers: {x-user: {}}}]
    directResponse: {status: 201}
  - match: [{uri: {prefix: /api}}]
    directResponse: {status: 202}
  - directResponse: {status: 404}
""",
    "two-gateways-for-other-hosts": "\n---\n".join(
        f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 8080, name: http, protocol: HTTP}}
    hosts: ["{name}.example.com"]
    tls: {{httpsRedirect: true}}
"""
        for name in ("one", "two")
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_said(name: str) -> None:
    found = of_text(SILENT[name])
    assert not found.loaded.refused
    assert [each.message for each in found.findings] == []
