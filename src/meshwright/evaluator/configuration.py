"""One proxy's resources, decoded as they are needed, and who wrote each of their parts."""

from typing import TypeVar

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, ResourceName, TypeUrl
from meshwright.model.origin import Origin
from meshwright.model.proxy import ProxyClass
from meshwright.model.published import EncodedResource, Published

M = TypeVar("M", bound=Message)


class Configuration:
    """What one proxy has been given. Raises KeyError for a proxy that is not published."""

    def __init__(self, published: Published, proxy: ProxyName) -> None:
        self.proxy = proxy
        self.proxy_class: ProxyClass = published.proxies[proxy]
        self._resources = published.classes[self.proxy_class]
        self._origins: dict[tuple[TypeUrl, str], dict[str, Origin]] = {}

    def listeners(self) -> list[Listener]:
        """All of them, by name."""
        named = self._resources.get(LISTENER, {})
        return [Listener.FromString(named[name].value) for name in sorted(named)]

    def routes(self, name: str) -> RouteConfiguration | None:
        """A route configuration by its name."""
        return self._decoded(ROUTES, name, RouteConfiguration)

    def cluster(self, name: str) -> Cluster | None:
        """A cluster by its name."""
        return self._decoded(CLUSTER, name, Cluster)

    def endpoints(self, name: str) -> ClusterLoadAssignment | None:
        """The endpoints of a cluster by the name of the load assignment."""
        return self._decoded(ENDPOINTS, name, ClusterLoadAssignment)

    def origin(self, url: TypeUrl, name: str, path: str = "") -> Origin | None:
        """Who wrote the part at `path` of a resource: the field of the smallest part around it that is known."""
        known = self._known(url, name)
        while path not in known:
            if not path:
                return None
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return known[path]

    def author(self, url: TypeUrl, name: str, path: str) -> Origin | None:
        """Who wrote exactly this part; None when it is there without anybody's word."""
        return self._known(url, name).get(path)

    def _known(self, url: TypeUrl, name: str) -> dict[str, Origin]:
        resource = self._find(url, name)
        if resource is None:
            return {}
        if (url, name) not in self._origins:
            self._origins[url, name] = {str(place): origin for place, origin in resource.origins}
        return self._origins[url, name]

    def _find(self, url: TypeUrl, name: str) -> EncodedResource | None:
        return self._resources.get(url, {}).get(ResourceName(name))

    def _decoded(self, url: TypeUrl, name: str, kind: type[M]) -> M | None:
        resource = self._find(url, name)
        return None if resource is None else kind.FromString(resource.value)
