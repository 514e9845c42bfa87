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
