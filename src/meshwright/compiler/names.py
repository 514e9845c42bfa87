"""Istio's generated names, verbatim: what users of istioctl, Kiali and Envoy dashboards know."""

from meshwright.model.names import Hostname, PortNumber, ResourceName, SubsetName

BLACK_HOLE = ResourceName("BlackHoleCluster")
PASSTHROUGH = ResourceName("PassthroughCluster")
INBOUND_PASSTHROUGH = ResourceName("InboundPassthroughCluster")
VIRTUAL_OUTBOUND = ResourceName("virtualOutbound")
VIRTUAL_INBOUND = ResourceName("virtualInbound")
HTTP_PROXY = ResourceName("http_proxy")
WORKLOAD_CERTIFICATE = ResourceName("default")
ROOT_CERTIFICATE = ResourceName("ROOTCA")


def outbound_cluster(port: PortNumber, host: Hostname, subset: SubsetName | None = None) -> ResourceName:
    """outbound|9080|v1|reviews.default.svc.cluster.local."""
    return ResourceName(f"outbound|{port}|{subset or ''}|{host}")


def outbound_sni(port: PortNumber, host: Hostname, subset: SubsetName | None = None) -> str:
    """The server name that a client proxy sends: outbound_.9080_.v1_.reviews.default.svc.cluster.local."""
    return f"outbound_.{port}_.{subset or ''}_.{host}"


def inbound_cluster(port: PortNumber) -> ResourceName:
    """inbound|9080||."""
    return ResourceName(f"inbound|{port}||")


def object_path(group: str, version: str, namespace: str, kind: str, name: str) -> str:
    """The `config` path in Envoy metadata, e.g. /apis/networking.istio.io/v1/namespaces/x/virtual-service/y."""
    return f"/apis/{group}/{version}/namespaces/{namespace}/{kind}/{name}"


def outbound_listener(bind: str, port: PortNumber) -> ResourceName:
    """0.0.0.0_9080, 240.240.0.7_3306; inbound listeners of interception NONE are named the same way."""
    return ResourceName(f"{bind}_{port}")


def port_routes(port: PortNumber) -> ResourceName:
    """The sidecar's routes of all HTTP services on one port: 9080."""
    return ResourceName(str(port))


def sniffed_routes(host: Hostname, port: PortNumber) -> ResourceName:
    """The sidecar's routes of one port whose protocol is detected: db.default.svc.cluster.local:7000."""
    return ResourceName(f"{host}:{port}")


def is_sniffed(name: ResourceName) -> bool:
    """Whether a sidecar's outbound routes have a name of `sniffed_routes`, and so belong to one host alone."""
    return ":" in name


def inbound_routes(port: PortNumber) -> ResourceName:
    """The routes of an inbound port have the name of its cluster: inbound|9080||."""
    return ResourceName(f"inbound|{port}||")


def gateway_http_routes(target_port: PortNumber, bind: str = "") -> ResourceName:
    """The routes of all plain HTTP servers on one port of a gateway: http.8080."""
    return ResourceName(f"http.{target_port}{'.' + bind if bind else ''}")


def gateway_https_routes(
    port: PortNumber, port_name: str, gateway: str, namespace: str, bind: str = ""
) -> ResourceName:
    """The routes of one TLS-terminating server, by the port its Gateway names: https.443.https.shop.default."""
    return ResourceName(f"https.{port}.{port_name}.{gateway}.{namespace}{'.' + bind if bind else ''}")
