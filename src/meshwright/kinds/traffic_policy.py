"""`trafficPolicy` of a DestinationRule, a subset or a port."""

from collections.abc import Iterator

from meshwright.kinds.fields import Fields
from meshwright.kinds.load_balancing import LOAD_BALANCER, read_load_balancing
from meshwright.kinds.metadata import PORT
from meshwright.kinds.schema import (
    UINT32,
    Duration,
    Enum,
    Flag,
    Integer,
    ListOf,
    Object,
    Text,
    Type,
    Unsupported,
    UnsupportedGuard,
)
from meshwright.model import codes
from meshwright.model.client_tls import ClientTls, ClientTlsMode
from meshwright.model.connection_pool import ConnectionPool, H2Upgrade, TcpKeepalive
from meshwright.model.destination_rule import PortPolicy, TrafficPolicy
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import PortNumber
from meshwright.model.outlier_detection import OutlierDetection

_POOL = Object(
    fields={
        "tcp": Object(
            fields={
                "maxConnections": Integer(),
                "connectTimeout": Duration(),
                "tcpKeepalive": Object(
                    fields={"probes": Integer(0, UINT32), "time": Duration(), "interval": Duration()}
                ),
                "maxConnectionDuration": Duration(),
                "idleTimeout": Duration(0),
            }
        ),
        "http": Object(
            fields={
                "http1MaxPendingRequests": Integer(),
                "http2MaxRequests": Integer(),
                "maxRequestsPerConnection": Integer(),
                "maxRetries": Integer(),
                "idleTimeout": Duration(),
                "h2UpgradePolicy": Enum(tuple(H2Upgrade)),
                "useClientProtocol": Flag(),
                "maxConcurrentStreams": Integer(),
                "http2KeepAlive": Unsupported("use tcp.tcpKeepalive"),
            }
        ),
    }
)
_OUTLIERS = Object(
    fields={
        "consecutive5xxErrors": Integer(0, UINT32),
        "consecutiveGatewayErrors": Integer(0, UINT32),
        "consecutiveLocalOriginFailures": Integer(0, UINT32),
        "splitExternalLocalOriginErrors": Flag(),
        "interval": Duration(),
        "baseEjectionTime": Duration(),
        "maxEjectionPercent": Integer(0, 100),
        "minHealthPercent": Integer(0, 100),
        "consecutiveErrors": Unsupported("use consecutive5xxErrors"),
        "outlierDetectionHttpErrorCodes": Unsupported("use consecutive5xxErrors"),
    }
)


def _tls_files(fields: Fields) -> Iterator[Diagnostic]:
    """MUTUAL needs a certificate of the client; ISTIO_MUTUAL brings its own."""
    mode, origin = fields.text("mode"), fields.origin
    given = [name for name in ("clientCertificate", "privateKey", "caCertificates") if fields.text(name)]
    if mode == ClientTlsMode.MUTUAL and not fields.text("credentialName"):
        for name in ("clientCertificate", "privateKey"):
            if name not in given:
                example = "a file at the proxy (or credentialName)"
                yield Diagnostic(codes.MISSING_FIELD, origin.field(name), (f"`{name}`", example))
    if mode == ClientTlsMode.ISTIO_MUTUAL:
        for name in given:
            args = (f"`{name}` with ISTIO_MUTUAL", "possible: the mesh has certificates of its own", "mode: MUTUAL")
            yield Diagnostic(codes.BAD_FORMAT, origin.field(name), args)
    if fields.text("credentialName") and given:
        names = f"credentialName, {', '.join(given)}"
        yield Diagnostic(codes.ONE_OF, origin.field(given[0]), (names,))


_TLS = Object(
    fields={
        "mode": Enum(tuple(ClientTlsMode)),
        "clientCertificate": Text(),
        "privateKey": Text(),
        "caCertificates": Text(),
        "credentialName": Text(),
        "subjectAltNames": ListOf(Text(empty=False)),
        "sni": Text(),
        "insecureSkipVerify": Flag(),
        "caCrl": UnsupportedGuard("use certificates that live shortly"),
    },
    rules=(_tls_files,),
)
_BLOCKS: dict[str, Type] = {
    "loadBalancer": LOAD_BALANCER,
    "connectionPool": _POOL,
    "outlierDetection": _OUTLIERS,
    "tls": _TLS,
}
_PORT_POLICY = Object(
    fields={
        "port": Object(
            fields={"number": PORT}, required={"number": "the service's port, e.g. 9080"}, single="number"
        ),
        **_BLOCKS,
    },
    required={"port": "an object with `number`"},
)


def _ports_once(fields: Fields) -> Iterator[Diagnostic]:
    seen: set[int | None] = set()
    for entry in fields.items("portLevelSettings"):
        number = entry.child_or_empty("port").number("number")
        if number in seen:
            yield Diagnostic(codes.DUPLICATE, entry.origin.field("port"), (f"port {number}",))
        seen.add(number)


TRAFFIC_POLICY = Object(
    fields={
        **_BLOCKS,
        "portLevelSettings": ListOf(_PORT_POLICY, most=4096),
        "tunnel": Unsupported("traffic goes to the destination directly"),
        "proxyProtocol": Unsupported("connections start without a PROXY header"),
        "retryBudget": Unsupported("use connectionPool.http.maxRetries"),
    },
    rules=(_ports_once,),
)


def read_policy(fields: Fields | None) -> TrafficPolicy | None:
    if fields is None:
        return None
    return TrafficPolicy(
        origin=fields.origin,
        load_balancing=read_load_balancing(fields.child("loadBalancer")),
        connection_pool=_read_pool(fields.child("connectionPool")),
        outlier_detection=_read_outliers(fields.child("outlierDetection")),
        tls=_read_tls(fields.child("tls")),
        ports=tuple(_read_port(entry) for entry in fields.items("portLevelSettings")),
    )


def _read_port(fields: Fields) -> PortPolicy:
    return PortPolicy(
        port=PortNumber(fields.child_or_empty("port").number_or("number", 0)),
        load_balancing=read_load_balancing(fields.child("loadBalancer")),
        connection_pool=_read_pool(fields.child("connectionPool")),
        outlier_detection=_read_outliers(fields.child("outlierDetection")),
        tls=_read_tls(fields.child("tls")),
        origin=fields.origin,
    )


def _read_pool(fields: Fields | None) -> ConnectionPool | None:
    if fields is None:
        return None
    tcp, http = fields.child_or_empty("tcp"), fields.child_or_empty("http")
    keepalive = tcp.child("tcpKeepalive")
    return ConnectionPool(
        max_connections=tcp.number("maxConnections"),
        connect_timeout=tcp.duration("connectTimeout"),
        keepalive=None
        if keepalive is None
        else TcpKeepalive(keepalive.number("probes"), keepalive.duration("time"), keepalive.duration("interval")),
        max_connection_duration=tcp.duration("maxConnectionDuration"),
        tcp_idle_timeout=tcp.duration("idleTimeout"),
        http1_max_pending_requests=http.number("http1MaxPendingRequests"),
        http2_max_requests=http.number("http2MaxRequests"),
        max_requests_per_connection=http.number("maxRequestsPerConnection"),
        max_retries=http.number("maxRetries"),
        http_idle_timeout=http.duration("idleTimeout"),
        h2_upgrade=H2Upgrade(http.text("h2UpgradePolicy", H2Upgrade.DEFAULT)),
        use_client_protocol=http.flag("useClientProtocol"),
        max_concurrent_streams=http.number("maxConcurrentStreams"),
    )


def _read_outliers(fields: Fields | None) -> OutlierDetection | None:
    if fields is None:
        return None
    return OutlierDetection(
        consecutive_5xx=fields.number("consecutive5xxErrors"),
        consecutive_gateway_errors=fields.number("consecutiveGatewayErrors"),
        consecutive_local_origin_failures=fields.number("consecutiveLocalOriginFailures"),
        split_external_local_origin_errors=fields.flag("splitExternalLocalOriginErrors"),
        interval=fields.duration("interval"),
        base_ejection_time=fields.duration("baseEjectionTime"),
        max_ejection_percent=fields.number("maxEjectionPercent"),
        min_health_percent=fields.number("minHealthPercent"),
    )


def _read_tls(fields: Fields | None) -> ClientTls | None:
    if fields is None:
        return None
    return ClientTls(
        mode=ClientTlsMode(fields.text("mode", ClientTlsMode.DISABLE)),
        client_certificate=fields.text("clientCertificate"),
        private_key=fields.text("privateKey"),
        ca_certificates=fields.text("caCertificates"),
        credential_name=fields.text("credentialName"),
        subject_alt_names=fields.texts("subjectAltNames"),
        sni=fields.text("sni"),
        insecure_skip_verify=fields.flag("insecureSkipVerify"),
    )
