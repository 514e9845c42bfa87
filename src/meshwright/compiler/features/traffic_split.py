"""The weights of VirtualService `http[].route[]` become one cluster or weighted clusters of a route."""

from meshwright.compiler.proto import uint
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction, WeightedCluster
from meshwright.model.names import ResourceName
from meshwright.model.virtual_service import HttpRule, WeightedDestination


def sharing_destinations(rule: HttpRule) -> tuple[WeightedDestination, ...]:
    """The destinations that get requests: a single one whatever its weight, else those with a weight."""
    if len(rule.route) == 1:
        return rule.route
    return tuple(destination for destination in rule.route if destination.weight > 0)


def set_cluster(action: RouteAction, cluster: ResourceName) -> None:
    """All requests go to one cluster."""
    action.cluster = cluster


def add_share(action: RouteAction, cluster: ResourceName, weight: int) -> WeightedCluster.ClusterWeight:
    """A share of the requests: weights are relative to their sum. Header changes go into the result."""
    return action.weighted_clusters.clusters.add(name=cluster, weight=uint(weight))
