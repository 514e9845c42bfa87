"""The few protobuf idioms that every builder needs, spelled once."""

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.type.v3.percent_pb2 import FractionalPercent
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.google.protobuf.duration_pb2 import Duration
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import BoolValue, DoubleValue, UInt32Value
from meshwright.model.names import Milliseconds, PartsPerMillion


def pack(message: Message) -> Any:
    """The only way into an Any: plain `Pack` lets the order of insertion leak into the bytes."""
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed


def percent(share: PartsPerMillion) -> FractionalPercent:
    """A share of requests, exactly."""
    return FractionalPercent(numerator=share, denominator=FractionalPercent.MILLION)


def duration(length: Milliseconds) -> Duration:
    """Milliseconds as Envoy's Duration."""
    made = Duration()
    made.FromMilliseconds(length)
    return made


def uint(value: int) -> UInt32Value:
    """A wrapped number: absent and 0 differ."""
    return UInt32Value(value=value)


def flag(value: bool) -> BoolValue:  # noqa: FBT001 - the one argument is the value
    """A wrapped boolean: absent and false differ."""
    return BoolValue(value=value)


def double(value: float) -> DoubleValue:
    """A wrapped floating-point number."""
    return DoubleValue(value=value)
