"""How an endpoint is chosen becomes the balancing settings of a cluster."""

from meshwright.compiler.proto import duration
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.type.v3.percent_pb2 import Percent
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt64Value
from meshwright.model.load_balancing import ConsistentHash, LoadBalancing, SimpleBalancing, Warmup

DEFAULT_RING = 1024
DEFAULT = LoadBalancing()
POLICIES = {
    SimpleBalancing.LEAST_REQUEST: Cluster.LEAST_REQUEST,
    SimpleBalancing.ROUND_ROBIN: Cluster.ROUND_ROBIN,
    SimpleBalancing.RANDOM: Cluster.RANDOM,
    SimpleBalancing.PASSTHROUGH: Cluster.CLUSTER_PROVIDED,
}


def is_passthrough(balancing: LoadBalancing | None) -> bool:
    """Whether the client's own choice of an address is kept, so that the cluster has no endpoints."""
    return (
        balancing is not None
        and balancing.consistent_hash is None
        and balancing.simple is SimpleBalancing.PASSTHROUGH
    )


def apply(cluster: Cluster, balancing: LoadBalancing | None) -> None:
    """Set the policy (LEAST_REQUEST unless the user says otherwise) and what belongs to it."""
    chosen = balancing or DEFAULT
    if chosen.consistent_hash is not None:
        _hash(cluster, chosen.consistent_hash)
        return
    cluster.lb_policy = POLICIES[chosen.simple]
    if chosen.warmup is not None:
        _warm_up(cluster, chosen.simple, chosen.warmup)


def _hash(cluster: Cluster, consistent: ConsistentHash) -> None:
    if consistent.maglev_table_size is not None:
        cluster.lb_policy = Cluster.MAGLEV
        cluster.maglev_lb_config.table_size.CopyFrom(UInt64Value(value=consistent.maglev_table_size))
        return
    cluster.lb_policy = Cluster.RING_HASH
    size = DEFAULT_RING if consistent.minimum_ring_size is None else consistent.minimum_ring_size
    cluster.ring_hash_lb_config.minimum_ring_size.CopyFrom(UInt64Value(value=size))


def _warm_up(cluster: Cluster, simple: SimpleBalancing, warmup: Warmup) -> None:
    """Envoy warms up for these two policies only, as in Istio."""
    match simple:
        case SimpleBalancing.LEAST_REQUEST:
            slow = cluster.least_request_lb_config.slow_start_config
        case SimpleBalancing.ROUND_ROBIN:
            slow = cluster.round_robin_lb_config.slow_start_config
        case _:
            return
    slow.slow_start_window.CopyFrom(duration(warmup.duration))
    slow.aggression.default_value = warmup.aggression
    slow.aggression.runtime_key = "aggression"
    slow.min_weight_percent.CopyFrom(Percent(value=warmup.minimum_percent))
