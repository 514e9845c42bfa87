"""Names, numbers and units as types of their own, so that one cannot be passed for another."""

from typing import NewType

Namespace = NewType("Namespace", str)
Hostname = NewType("Hostname", str)  # a fully qualified service host, e.g. reviews.default.svc.cluster.local
SubsetName = NewType("SubsetName", str)
PortNumber = NewType("PortNumber", int)
Milliseconds = NewType("Milliseconds", int)
PartsPerMillion = NewType("PartsPerMillion", int)  # a share of requests; 1_000_000 is all of them
ProxyName = NewType("ProxyName", str)  # <pod>.<namespace>
ResourceName = NewType("ResourceName", str)  # the name of one Envoy resource
TypeUrl = NewType("TypeUrl", str)
Version = NewType("Version", str)  # content hash of one encoded resource
ElementPath = NewType("ElementPath", str)  # a place inside one Envoy resource: virtual_hosts[x].routes[0]

TYPE_PREFIX = "type.googleapis.com/"
CLUSTER = TypeUrl(TYPE_PREFIX + "envoy.config.cluster.v3.Cluster")
ENDPOINTS = TypeUrl(TYPE_PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment")
LISTENER = TypeUrl(TYPE_PREFIX + "envoy.config.listener.v3.Listener")
ROUTES = TypeUrl(TYPE_PREFIX + "envoy.config.route.v3.RouteConfiguration")
EXTENSION = TypeUrl(TYPE_PREFIX + "envoy.config.core.v3.TypedExtensionConfig")
SECRET = TypeUrl(TYPE_PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret")
