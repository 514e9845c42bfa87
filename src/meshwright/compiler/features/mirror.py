"""VirtualService `http[].mirrors` becomes a route's request mirror policies."""

from meshwright.compiler.proto import flag, percent
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import RuntimeFractionalPercent
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction
from meshwright.model.mirror import Mirror
from meshwright.model.names import ResourceName


def mirror_policy(mirror: Mirror, cluster: ResourceName) -> RouteAction.RequestMirrorPolicy:
    """The copy keeps its host (no `-shadow` is appended) and starts no trace of its own."""
    return RouteAction.RequestMirrorPolicy(
        cluster=cluster,
        runtime_fraction=RuntimeFractionalPercent(default_value=percent(mirror.share)),
        trace_sampled=flag(value=False),
        disable_shadow_host_suffix_append=True,
    )
