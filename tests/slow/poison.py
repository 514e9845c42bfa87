"""Objects that cannot work beside ones that can: who is refused by Envoy, and who contradicts somebody else."""

from collections.abc import Iterator
from dataclasses import dataclass

NAMESPACE = "live"
SERVICES, GATEWAYS = 90, 10
CREDENTIAL = "good-certificate"


@dataclass(frozen=True)
class Culprit:
    """One broken object: `field` is what its status must name; `said` who finds it, Envoy or the mesh."""

    kind: str
    name: str
    field: str
    text: str
    said: str = "mesh"
    namespace: str = NAMESPACE


def good(certificate: str, key: str) -> str:
    """200 objects: services with a rule each, and gateways with a rule each."""
    return "\n---\n".join([*_services(), *_gateways(), _secret(CREDENTIAL, certificate, key)])


def _services() -> Iterator[str]:
    for number in range(SERVICES):
        yield service(f"good-{number}")
        yield rule(f"good-{number}", f"- directResponse: {{status: 200, body: {{string: good-{number}}}}}")


def _gateways() -> Iterator[str]:
    for number in range(GATEWAYS):
        name, host = f"gate-{number}", f"gate-{number}.example.com"
        yield gateway(name, host, f"{{mode: SIMPLE, credentialName: {CREDENTIAL}}}")
        yield rule(
            name,
            f"- directResponse: {{status: 200, body: {{string: {name}}}}}",
            hosts=host,
            gateways=name,
            namespace="istio-system",
        )


def _set(name: str) -> str:
    """good, gate, or what is broken about it."""
    first, _, last = name.partition("-")
    return first if last.isdigit() else "broken"


def service(name: str, ports: str = "[{name: http, port: 8000}]", more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {{set: {_set(name)}}}}}
spec: {{selector: {{app: echo}}, ports: {ports}{more}}}"""


def rule(name: str, http: str, hosts: str = "", gateways: str = "mesh", namespace: str = NAMESPACE) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}, labels: {{set: {_set(name)}}}}}
spec:
  hosts: [{hosts or name}]
  gateways: [{gateways}]
  http:
  {http}"""


def gateway(name: str, host: str, tls: str, port: str = "{number: 443, name: https, protocol: HTTPS}") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: istio-system, labels: {{set: {_set(name)}}}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {port}
    hosts: [{host}]
    tls: {tls}"""


def destination_rule(name: str, host: str, spec: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec: {{host: {host}, {spec}}}"""


def _secret(name: str, certificate: str, key: str) -> str:
    return f"""
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: istio-system}}
type: kubernetes.io/tls
data: {{tls.crt: {certificate}, tls.key: {key}}}"""


def _routed(name: str, field: str, http: str, said: str = "mesh") -> Culprit:
    """A rule for a service of its own."""
    text = f"{service(name)}\n---\n{rule(name, http)}"
    return Culprit("VirtualService", name, field, text, said)


def _header(number: int, value: str, said: str = "Envoy") -> Culprit:
    """Formatting commands that only Envoy can judge."""
    http = f"- headers: {{request: {{set: {{x-a: '{value}'}}}}}}\n    route: [{{destination: {{host: good-0}}}}]"
    return _routed(f"format-{number}", "spec.http[0].headers.request", http, said)


def _to(number: int, destination: str, member: str) -> Culprit:
    return _routed(
        f"route-{number}", f"spec.http[0].route[0].destination.{member}", f"- route: [{{destination: {destination}}}]"
    )


def _gate(name: str, field: str, tls: str, said: str = "mesh", host: str = "") -> Culprit:
    text = gateway(name, host or f"{name}.example.com", tls)
    return Culprit("Gateway", name, field, text, said, "istio-system")


FORMATS = (
    "%DYNAMIC_METADATA()%", "%PROTOCOL(x)%", "%COMMON_DURATION(a:b:c)%", "%CEL(1 +)%", "%METADATA(NOSUCH:a)%",
    "%FILTER_STATE(x:NOSUCH)%", "%QUERY_PARAM()%", "%DURATION(a)%", "%COMMON_DURATION(a:b:d)%", "%RESPONSE_CODE(z)%",
)  # fmt: skip
PLAIN = "- route: [{destination: {host: good-1}}]"
BROKEN_SECRET = _secret("broken-certificate", "bm90IGEgY2VydGlmaWNhdGU=", "bm90IGEga2V5")


def culprits() -> tuple[Culprit, ...]:
    """40 of them."""
    return (
        *(_header(number, value) for number, value in enumerate(FORMATS)),
        *_refused_files(),
        *_dangling(),
        *_contradictions(),
        *_unwanted(),
    )


def _refused_files() -> Iterator[Culprit]:
    """Clusters and listeners that need what the proxy's machine does not have."""
    for number, tls in enumerate(
        (
            "{mode: SIMPLE, caCertificates: /etc/no-such/ca-0.pem}",
            "{mode: SIMPLE, caCertificates: /etc/no-such/ca-1.pem, subjectAltNames: [files.example.com]}",
            "{mode: SIMPLE, caCertificates: /etc/hostname}",
        )
    ):
        name = f"file-{number}"
        text = f"{service(name)}\n---\n{destination_rule(name, name, f'trafficPolicy: {{tls: {tls}}}')}"
        yield Culprit("DestinationRule", name, "spec.trafficPolicy.tls", text, "Envoy")
    files = "{mode: SIMPLE, serverCertificate: /etc/no-such/s.pem, privateKey: /etc/no-such/s.key}"
    yield _gate("gate-files", "spec.servers[0]", files, "Envoy")


def _dangling() -> Iterator[Culprit]:
    """What refers to nothing."""
    yield _to(0, "{host: nobody}", "host")
    yield _to(1, "{host: good-1, subset: v9}", "subset")
    yield _to(2, "{host: good-1, port: {number: 81}}", "port.number")
    text = service("route-3") + "\n---\n" + rule("route-3", PLAIN, gateways="no-such-gateway")
    yield Culprit("VirtualService", "route-3", "spec.gateways[0]", text)
    yield _routed(
        "mirror-0",
        "spec.http[0].mirrors[0].destination.host",
        f"{PLAIN}\n    mirrors: [{{destination: {{host: nobody}}}}]",
    )
    yield Culprit("DestinationRule", "lost-0", "spec.host", destination_rule("lost-0", "nobody", "subsets: []"))
    subset = destination_rule("lost-1", "good-2", "subsets: [{name: v9, labels: {version: v9}}]")
    yield Culprit("DestinationRule", "lost-1", "spec.subsets[0].labels", subset)
    cipher = f"{{mode: SIMPLE, credentialName: {CREDENTIAL}, cipherSuites: [NO-SUCH-CIPHER]}}"
    yield _gate("gate-cipher", "spec.servers[0].tls.cipherSuites[0]", cipher)
    yield _gate("gate-missing", "spec.servers[0].tls.credentialName", "{mode: SIMPLE, credentialName: nowhere}")
    broken = _gate(
        "gate-broken", "spec.servers[0].tls.credentialName", "{mode: SIMPLE, credentialName: broken-certificate}"
    )
    yield Culprit(
        broken.kind, broken.name, broken.field, f"{BROKEN_SECRET}\n---\n{broken.text}", namespace="istio-system"
    )
    client = destination_rule("lost-2", "good-3", "trafficPolicy: {tls: {mode: SIMPLE, credentialName: nowhere}}")
    yield Culprit("DestinationRule", "lost-2", "spec.trafficPolicy.tls.credentialName", client)
    yield Culprit(
        "Service",
        "lost-3",
        "spec.ports[0].targetPort",
        service("lost-3", "[{name: http, port: 8000, targetPort: nowhere}]"),
    )
    nobody = service("lost-4").replace("app: echo", "app: nobody")
    yield Culprit("Service", "lost-4", "spec.selector", nobody)


def _contradictions() -> Iterator[Culprit]:
    """Two that want the same."""
    yield Culprit("VirtualService", "twice-0", "spec.hosts[0]", rule("twice-0", PLAIN, hosts="good-4"))
    yield Culprit(
        "DestinationRule",
        "lost-9",
        "spec.trafficPolicy",
        destination_rule("lost-9", "good-3", "trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
    )
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{host}]
  addresses: [{address}]
  ports: {ports}
  resolution: STATIC
  endpoints: [{{address: 192.0.2.1}}]"""
    host = f"good-5.{NAMESPACE}.svc.cluster.local"
    http = "[{number: 8000, name: http, protocol: HTTP}]"
    clash = entry.format(name="entry-0", namespace=NAMESPACE, host=host, address="240.9.9.1", ports=http)
    yield Culprit("ServiceEntry", "entry-0", "spec.hosts", clash)
    tcp = "[{number: 9100, name: tcp, protocol: TCP}]"
    first = entry.format(name="entry-1", namespace=NAMESPACE, host="one.example.com", address="240.9.9.2", ports=tcp)
    second = entry.format(name="entry-2", namespace=NAMESPACE, host="two.example.com", address="240.9.9.2", ports=tcp)
    yield Culprit("ServiceEntry", "entry-2", "spec.ports[0]", f"{first}\n---\n{second}")
    yield Culprit(
        "Service", "taken-0", "spec.ports[0]", service("taken-0", "[{name: http, port: 15006, targetPort: 8000}]")
    )
    yield Culprit(
        "Service", "taken-1", "spec.ports[0]", service("taken-1", "[{name: http, port: 15001, targetPort: 8000}]")
    )
    port = "{number: 443, name: http, protocol: HTTP}"
    plain = gateway("gate-plain", "gate-plain.example.com", "{}", port).replace("\n    tls: {}", "")
    yield Culprit("Gateway", "gate-plain", "spec.servers[0].port", plain, namespace="istio-system")
    same = _gate(
        "gate-same",
        "spec.servers[0].hosts[0]",
        f"{{mode: SIMPLE, credentialName: {CREDENTIAL}}}",
        host="gate-0.example.com",
    )
    yield same


def _unwanted() -> Iterator[Culprit]:
    """What Envoy's field rules forbid, and what can never have an effect."""
    body = '- headers: {request: {set: {x-a: "a\\nb"}}}\n    route: [{destination: {host: good-0}}]'
    yield _routed("rules-0", "spec.http[0].headers.request", body)
    rewrite = '- rewrite: {uri: "a\\nb"}\n    route: [{destination: {host: good-0}}]'
    yield _routed("rules-1", "spec.http[0].rewrite", rewrite)
    unknown = "- headers: {request: {set: {x-a: '%NOSUCH%'}}}\n    route: [{destination: {host: good-0}}]"
    yield _routed("rules-2", "spec.http[0].headers.request.set.x-a", unknown)
    late = f"{PLAIN}\n  - match: [{{uri: {{prefix: /never}}}}]\n    route: [{{destination: {{host: good-0}}}}]"
    yield _routed("rules-3", "spec.http[1]", late)
    idle = f"{PLAIN}\n    fault: {{abort: {{httpStatus: 500}}}}"
    yield _routed("rules-4", "spec.http[0].fault.abort", idle)
