"""When an endpoint that fails is left out for a while."""

from dataclasses import dataclass

from meshwright.model.names import Milliseconds


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """None = not set by the user; 0 switches that detector off. Percents are 0..100."""

    consecutive_5xx: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_local_origin_failures: int | None = None
    split_external_local_origin_errors: bool = False
    interval: Milliseconds | None = None
    base_ejection_time: Milliseconds | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int | None = None
