"""VirtualService `http[].fault` becomes the fault filter's settings of one route."""

from meshwright.compiler.proto import duration, percent
from meshwright.envoyapi.envoy.extensions.filters.common.fault.v3.fault_pb2 import FaultDelay
from meshwright.envoyapi.envoy.extensions.filters.http.fault.v3.fault_pb2 import FaultAbort, HTTPFault
from meshwright.model.fault import Delay, Fault, GrpcAbort, HttpAbort

FILTER = "envoy.filters.http.fault"


def fault_settings(fault: Fault) -> HTTPFault:
    """Shares are exact to one request in a million."""
    return HTTPFault(
        delay=None if fault.delay is None else _delay(fault.delay),
        abort=None if fault.abort is None else _abort(fault.abort),
    )


def _delay(delay: Delay) -> FaultDelay:
    return FaultDelay(fixed_delay=duration(delay.fixed), percentage=percent(delay.share))


def _abort(abort: HttpAbort | GrpcAbort) -> FaultAbort:
    match abort:
        case HttpAbort(status, share):
            return FaultAbort(http_status=status, percentage=percent(share))
        case GrpcAbort(status, share):
            return FaultAbort(grpc_status=status, percentage=percent(share))
