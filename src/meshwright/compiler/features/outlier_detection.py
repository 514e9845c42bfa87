"""When a failing endpoint is left out becomes a cluster's outlier detection."""

from meshwright.compiler.proto import duration, uint
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection as EnvoyDetection
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt32Value
from meshwright.model.outlier_detection import OutlierDetection

ALWAYS = 100


def apply(cluster: Cluster, detection: OutlierDetection | None) -> None:
    """Nothing unless the user asked for it. Detectors that the user did not set keep Envoy's values, but the
    statistical one is off, as in Istio. `min_health_percent` is the panic threshold.
    """
    if detection is None:
        return
    made = cluster.outlier_detection
    made.enforcing_success_rate.CopyFrom(uint(0))
    _detectors(made, detection)
    if detection.interval is not None:
        made.interval.CopyFrom(duration(detection.interval))
    if detection.base_ejection_time is not None:
        made.base_ejection_time.CopyFrom(duration(detection.base_ejection_time))
    if detection.max_ejection_percent is not None:
        made.max_ejection_percent.CopyFrom(uint(detection.max_ejection_percent))
    if detection.min_health_percent:
        cluster.common_lb_config.healthy_panic_threshold.value = detection.min_health_percent


def _detectors(made: EnvoyDetection, detection: OutlierDetection) -> None:
    _detector(made.consecutive_5xx, made.enforcing_consecutive_5xx, detection.consecutive_5xx)
    _detector(
        made.consecutive_gateway_failure,
        made.enforcing_consecutive_gateway_failure,
        detection.consecutive_gateway_errors,
    )
    if not detection.split_external_local_origin_errors:
        return
    made.split_external_local_origin_errors = True
    made.enforcing_local_origin_success_rate.CopyFrom(uint(0))
    _detector(
        made.consecutive_local_origin_failure,
        made.enforcing_consecutive_local_origin_failure,
        detection.consecutive_local_origin_failures,
    )


def _detector(threshold: UInt32Value, enforcing: UInt32Value, value: int | None) -> None:
    """0 keeps counting but never ejects."""
    if value is None:
        return
    if value > 0:
        threshold.CopyFrom(uint(value))
    enforcing.CopyFrom(uint(ALWAYS if value > 0 else 0))
