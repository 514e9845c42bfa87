"""The few protobuf idioms that every builder needs, spelled once."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.config.core.v3.address_pb2 import Address, CidrRange, SocketAddress
from meshwright.envoyapi.envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from meshwright.envoyapi.envoy.type.v3.percent_pb2 import FractionalPercent
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.google.protobuf.duration_pb2 import Duration
from meshwright.envoyapi.google.protobuf.struct_pb2 import Struct, Value
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import BoolValue, UInt32Value
from meshwright.model.names import Milliseconds, PartsPerMillion

Json: TypeAlias = str | bool | float | Mapping[str, "Json"] | Sequence["Json"]


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


def ads(*, wait: bool = True) -> ConfigSource:
    """Ask the one aggregated stream. `wait` False: take what is not answered yet as empty only when it comes
    (Envoy's initial_fetch_timeout 0: no timeout).
    """
    source = ConfigSource(resource_api_version=ApiVersion.V3)
    source.ads.SetInParent()
    if not wait:
        source.initial_fetch_timeout.SetInParent()
    return source


def secret(name: str) -> SdsSecretConfig:
    """A reference to a secret that is served over the stream, never inlined."""
    return SdsSecretConfig(name=name, sds_config=ads())


def address(host: str, port: int) -> Address:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def prefix(cidr: str) -> CidrRange:
    """10.0.0.0/8, or one address, as Envoy's CidrRange."""
    host, slash, length = cidr.partition("/")
    return CidrRange(address_prefix=host, prefix_len=uint(int(length) if slash else 128 if ":" in host else 32))


def struct(fields: Mapping[str, Json]) -> Struct:
    """A Struct of our own pool from plain values; keys are set in sorted order."""
    made = Struct()
    for key in sorted(fields):
        _fill(made.fields[key], fields[key])
    return made


def _fill(target: Value, value: Json) -> None:
    match value:
        case bool():
            target.bool_value = value
        case str():
            target.string_value = value
        case int() | float():
            target.number_value = value
        case Mapping():
            target.struct_value.CopyFrom(struct(value))
        case _:
            target.list_value.SetInParent()
            for item in value:
                _fill(target.list_value.values.add(), item)


def serialised(message: Message) -> bytes:
    """Canonical bytes of a part of a resource, to be appended to the resource's own (see `Built.tail`)."""
    return message.SerializeToString(deterministic=True)
