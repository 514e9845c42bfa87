"""Faults that a mesh injects on purpose: what they mean, not how Envoy spells them."""

from dataclasses import dataclass

from meshwright.model.names import Milliseconds, PartsPerMillion


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold a share of the requests back for a fixed time."""

    fixed: Milliseconds
    share: PartsPerMillion


@dataclass(frozen=True, slots=True)
class HttpAbort:
    """Answer a share of the requests with an HTTP status (200..599)."""

    status: int
    share: PartsPerMillion


@dataclass(frozen=True, slots=True)
class GrpcAbort:
    """Answer a share of the requests with a gRPC status number (0..16)."""

    status: int
    share: PartsPerMillion


@dataclass(frozen=True, slots=True)
class Fault:
    """At least one of the two parts is set; the reader sees to that."""

    delay: Delay | None = None
    abort: HttpAbort | GrpcAbort | None = None
