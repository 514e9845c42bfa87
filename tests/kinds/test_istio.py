"""DestinationRule, Gateway, ServiceEntry and PeerAuthentication documents."""

import pytest

from meshwright.model.client_tls import ClientTlsMode
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway, ServerHost, ServerTlsMode
from meshwright.model.load_balancing import ConsistentHash, HashCookie, SimpleBalancing, Warmup
from meshwright.model.names import Milliseconds
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.protocol import Protocol
from meshwright.model.service import Registry, Resolution, Service
from tests.kinds.loading import document, good, load

IN_SHOP = "{name: x, namespace: shop}"
SECURITY = "security.istio.io/v1"


def rule_of(spec: str) -> DestinationRule:
    (rule,) = good(document("DestinationRule", spec, metadata=IN_SHOP)).objects.destination_rules
    return rule


def gateway_of(server: str) -> Gateway:
    spec = f"{{selector: {{istio: gw}}, servers: [{server}]}}"
    (gateway,) = good(document("Gateway", spec, metadata=IN_SHOP)).objects.gateways
    return gateway


def services_of(spec: str) -> tuple[Service, ...]:
    return good(document("ServiceEntry", spec, metadata=IN_SHOP)).objects.services


def policy_of(spec: str) -> PeerAuthentication:
    (policy,) = good(document("PeerAuthentication", spec, api_version=SECURITY)).objects.peer_authentications
    return policy


def codes_of(kind: str, spec: str, api_version: str = "networking.istio.io/v1") -> list[tuple[str, str]]:
    loaded = load(document(kind, spec, api_version=api_version))
    return [(finding.code.id, finding.origin.path) for finding in loaded.diagnostics]


def test_destination_rules() -> None:
    rule = rule_of(
        "{host: reviews, exportTo: ['*'], workloadSelector: {matchLabels: {app: web}},"
        " trafficPolicy: {loadBalancer: {simple: LEAST_CONN, warmup: {duration: 60s, minimumPercent: 5}},"
        " connectionPool: {tcp: {maxConnections: 1, connectTimeout: 1s, idleTimeout: 0s,"
        " tcpKeepalive: {time: 7200s}},"
        " http: {http1MaxPendingRequests: 2, h2UpgradePolicy: UPGRADE, idleTimeout: 1h}},"
        " outlierDetection: {consecutive5xxErrors: 0, interval: 5m, maxEjectionPercent: 100},"
        " portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, sni: a.b}}]},"
        " subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}]}"
    )
    assert rule.host == "reviews.shop.svc.cluster.local"
    policy = rule.policy
    assert policy is not None
    assert policy.load_balancing is not None
    assert policy.load_balancing.simple is SimpleBalancing.LEAST_REQUEST
    assert policy.load_balancing.warmup == Warmup(Milliseconds(60_000), 5.0)
    pool, outliers = policy.connection_pool, policy.outlier_detection
    assert pool is not None
    assert (pool.max_connections, pool.tcp_idle_timeout, pool.http_idle_timeout) == (1, 0, 3_600_000)
    assert outliers is not None
    assert (outliers.consecutive_5xx, outliers.consecutive_gateway_errors, outliers.interval) == (0, None, 300_000)
    assert policy.ports[0].port == 443
    assert policy.ports[0].tls is not None
    assert policy.ports[0].tls.mode is ClientTlsMode.SIMPLE
    subset = rule.subsets[0]
    assert (subset.name, subset.origin.path) == ("v1", "spec.subsets[0]")
    assert subset.policy is not None
    assert subset.policy.origin.path == "spec.subsets[0].trafficPolicy"
    assert rule.workload_selector.pairs == (("app", "web"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{httpHeaderName: x-user, minimumRingSize: 10}", ConsistentHash(header="x-user", minimum_ring_size=10)),
        ("{useSourceIp: true, maglev: {}}", ConsistentHash(maglev_table_size=65537)),
        (
            "{httpCookie: {name: c, ttl: 0s}, ringHash: {minimumRingSize: 5}}",
            ConsistentHash(cookie=HashCookie("c", "", Milliseconds(0)), minimum_ring_size=5),
        ),
        ("{httpQueryParameterName: q}", ConsistentHash(query_parameter="q")),
    ],
)
def test_consistent_hash(text: str, expected: ConsistentHash) -> None:
    policy = rule_of(f"{{host: a.b, trafficPolicy: {{loadBalancer: {{consistentHash: {text}}}}}}}").policy
    assert policy is not None
    assert policy.load_balancing is not None
    assert policy.load_balancing.consistent_hash == expected


def test_mistakes_in_destination_rules() -> None:
    assert codes_of("DestinationRule", "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}") == [
        ("MW0005", "spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName")
    ]
    table = "{useSourceIp: true, maglev: {tableSize: 4}}"
    assert codes_of(
        "DestinationRule", f"{{host: a, trafficPolicy: {{loadBalancer: {{consistentHash: {table}}}}}}}"
    ) == [("MW0008", "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize")]
    tls = "{mode: SIMPLE, credentialName: a, caCertificates: /b}"
    assert codes_of("DestinationRule", f"{{host: a, trafficPolicy: {{tls: {tls}}}}}") == [
        ("MW0009", "spec.trafficPolicy.tls.caCertificates")
    ]


@pytest.mark.parametrize(
    "field",
    ["tunnel: {targetHost: a, targetPort: 1}", "proxyProtocol: {version: V1}", "retryBudget: {percent: 20}",
     "loadBalancer: {localityLbSetting: {enabled: true}}", "connectionPool: {http: {http2KeepAlive: {interval: 1s}}}",
     "outlierDetection: {consecutiveErrors: 5}"],
)  # fmt: skip
def test_fields_that_cannot_be_used_yet_are_dropped_alone(field: str) -> None:
    loaded = load(document("DestinationRule", f"{{host: a, trafficPolicy: {{{field}}}}}"))
    assert [finding.code.id for finding in loaded.diagnostics] == ["MW0012"]
    assert len(loaded.objects.destination_rules) == 1


def test_gateways() -> None:
    gateway = gateway_of(
        "{port: {number: 443, name: https, protocol: https}, bind: 0.0.0.0,"
        " hosts: [a.example.com, ./b.example.com, other/*.c.com, '*/d.e'],"
        " tls: {mode: SIMPLE, credentialName: cert, minProtocolVersion: TLSV1_2, maxProtocolVersion: TLS_AUTO}}"
    )
    (server,) = gateway.servers
    assert server.protocol is Protocol.HTTPS
    assert server.hosts == (
        ServerHost("*", "a.example.com"), ServerHost("shop", "b.example.com"), ServerHost("other", "*.c.com"),
        ServerHost("*", "d.e"),
    )  # fmt: skip
    assert server.tls is not None
    assert (server.tls.mode, server.tls.min_version, server.tls.max_version) == (ServerTlsMode.SIMPLE, "TLSV1_2", "")
    redirect = gateway_of(
        "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}"
    )
    tls = redirect.servers[0].tls
    assert tls is not None
    assert (tls.mode, tls.https_redirect) == (None, True)


@pytest.mark.parametrize(
    ("server", "code", "path"),
    [
        ("port: {number: 80, name: a, protocol: HTTP}, tls: {mode: SIMPLE, credentialName: a}", "MW0008", "tls"),
        ("port: {number: 443, name: a, protocol: HTTPS}, tls: {httpsRedirect: true}", "MW0008", "tls.httpsRedirect"),
        ("port: {number: 443, name: a, protocol: TLS}, tls: {mode: SIMPLE, privateKey: /k}", "MW0005",
         "tls.serverCertificate"),
        ("port: {number: 443, name: a, protocol: TLS}, tls: {mode: MUTUAL, privateKey: /k, serverCertificate: /c}",
         "MW0005", "tls.caCertificates"),
        ("port: {number: 443, name: a, protocol: TLS}, tls: {mode: SIMPLE, credentialName: a, privateKey: /k}",
         "MW0009",
         "tls.privateKey"),
        ("port: {number: 443, name: a, protocol: TLS}, tls: {mode: MUTUAL, credentialName: a, caCrl: /c}", "MW0015",
         "tls.caCrl"),
    ],
)  # fmt: skip
def test_mistakes_in_gateways(server: str, code: str, path: str) -> None:
    found = codes_of("Gateway", f"{{servers: [{{hosts: ['*'], {server}}}]}}")
    assert found == [(code, f"spec.servers[0].{path}")]


def test_service_entries() -> None:
    services = services_of(
        "{hosts: [a.example.com, b.example.com], addresses: [10.1.0.0/16], location: MESH_INTERNAL,"
        " resolution: STATIC,"
        " ports: [{number: 80, name: web, protocol: HTTP, targetPort: 8080}, {number: 9000, name: raw}],"
        " endpoints: [{address: 10.1.2.3, ports: {web: 8081}, labels: {v: '1'}, weight: 3, serviceAccount: sa},"
        " {address: 'unix:///run/x'}], exportTo: [.], subjectAltNames: ['spiffe://a']}"
    )
    assert [service.host for service in services] == ["a.example.com", "b.example.com"]
    service = services[0]
    assert (service.registry, service.resolution, service.mesh_external) == (
        Registry.EXTERNAL,
        Resolution.STATIC,
        False,
    )
    assert service.meta.ref.kind == "ServiceEntry"
    assert [(port.number, port.protocol, port.target) for port in service.ports] == [
        (80, Protocol.HTTP, 8080), (9000, Protocol.TCP, None),
    ]  # fmt: skip
    assert [(one.address, one.ports, one.weight) for one in service.endpoints] == [
        ("10.1.2.3", (("web", 8081),), 3), ("unix:///run/x", (), 1),
    ]  # fmt: skip
    assert service.export_to == ("shop",)
    (external,) = services_of("{hosts: ['*.example.com'], ports: [{number: 443, name: tls, protocol: TLS}]}")
    assert (external.mesh_external, external.resolution) == (True, Resolution.NONE)


@pytest.mark.parametrize(
    ("spec", "code", "path"),
    [
        ("resolution: NONE, endpoints: [{address: 10.0.0.1}]", "MW0008", "endpoints"),
        ("resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.b}, {address: c.d}]", "MW0006", "endpoints"),
        ("resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {x: 1}}]", "MW0007", "endpoints[0].ports.x"),
        (
            "resolution: STATIC, endpoints: [{address: 10.0.0.1}], workloadSelector: {labels: {a: b}}",
            "MW0009",
            "workloadSelector",
        ),
        ("ports: [{number: 1, name: a}, {number: 1, name: b}]", "MW0010", "ports[1].number"),
        ("ports: [{number: 0, name: a}]", "MW0006", "ports[0].number"),
    ],
)
def test_mistakes_in_service_entries(spec: str, code: str, path: str) -> None:
    assert codes_of("ServiceEntry", f"{{hosts: [a.example.com], {spec}}}") == [(code, f"spec.{path}")]


def test_peer_authentications() -> None:
    policy = policy_of(
        "{selector: {matchLabels: {app: a}}, mtls: {mode: PERMISSIVE},"
        " portLevelMtls: {9080: {mode: DISABLE}, '80': {mode: STRICT}, 81: null}}"
    )
    assert policy.mode is MutualTlsMode.PERMISSIVE
    assert policy.port_modes == ((80, "STRICT"), (81, "UNSET"), (9080, "DISABLE"))
    assert policy_of("{}").mode is MutualTlsMode.UNSET


@pytest.mark.parametrize(
    ("spec", "selector"),
    [
        ("{selector: {matchLabels: {app: a}}, mtls: {mode: OFF}}", (("app", "a"),)),
        ("{selector: {matchLabels: {app: a}}, mtls: DISABLE}", (("app", "a"),)),
        ("{selector: {matchLabels: {app: 1}}, mtls: {mode: DISABLE}}", ()),
        ("{selector: {matchlabels: {app: a}}, mtls: {mode: DISABLE}}", ()),
        ("{selectr: {matchLabels: {app: a}}, mtls: {mode: DISABLE}}", ()),
        ("{mtls: {mode: DISABLE, mode: PERMISSIVE}}", ()),
        ("{mtls: {mode: DISABLE}", ()),
        ("[]", ()),
    ],
)
def test_broken_security_denies(spec: str, selector: tuple[tuple[str, str], ...]) -> None:
    loaded = load(
        document("PeerAuthentication", spec, api_version=SECURITY, metadata="\n  name: x\n  namespace: shop")
    )
    (policy,) = loaded.objects.peer_authentications
    assert (policy.mode, policy.selector.pairs, policy.meta.namespace) == (MutualTlsMode.STRICT, selector, "shop")
    assert "MW0501" in [finding.code.id for finding in loaded.diagnostics]
    assert all(loaded.lines.find(finding.origin) for finding in loaded.diagnostics)


def test_two_policies_that_contradict_deny() -> None:
    texts = [document("PeerAuthentication", f"{{mtls: {{mode: {mode}}}}}", api_version=SECURITY)
             for mode in ("DISABLE", "PERMISSIVE")]  # fmt: skip
    for order in (texts, texts[::-1]):
        (policy,) = load(*order).objects.peer_authentications
        assert policy.mode is MutualTlsMode.STRICT
    (same,) = load(texts[0], texts[0]).objects.peer_authentications
    assert same.mode is MutualTlsMode.DISABLE
