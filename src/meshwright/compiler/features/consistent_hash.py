"""DestinationRule `loadBalancer.consistentHash`: what of a request is hashed becomes a route's hash policy."""

from meshwright.compiler.proto import duration
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction
from meshwright.model.load_balancing import ConsistentHash, HashCookie

HashPolicy = RouteAction.HashPolicy


def hash_policy(settings: ConsistentHash) -> HashPolicy:
    """The ring (or table) itself belongs to the cluster."""
    if settings.header is not None:
        return HashPolicy(header=HashPolicy.Header(header_name=settings.header))
    if settings.cookie is not None:
        return HashPolicy(cookie=_cookie(settings.cookie))
    if settings.query_parameter is not None:
        return HashPolicy(query_parameter=HashPolicy.QueryParameter(name=settings.query_parameter))
    return HashPolicy(connection_properties=HashPolicy.ConnectionProperties(source_ip=True))


def _cookie(cookie: HashCookie) -> HashPolicy.Cookie:
    made = HashPolicy.Cookie(name=cookie.name, path=cookie.path)
    if cookie.ttl is not None:
        made.ttl.CopyFrom(duration(cookie.ttl))
    return made
