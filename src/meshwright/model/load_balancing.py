"""How one endpoint among many is chosen."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.names import Milliseconds


class SimpleBalancing(StrEnum):
    """Istio's `simple`; LEAST_CONN is read as LEAST_REQUEST."""

    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"


@dataclass(frozen=True, slots=True)
class HashCookie:
    """A cookie; with `ttl` it is generated when absent (0 = session cookie)."""

    name: str
    path: str = ""
    ttl: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class ConsistentHash:
    """One key at most; without one, the client's address is hashed.

    `maglev_table_size` set = Maglev, else ring hash with `minimum_ring_size`.
    """

    header: str | None = None
    cookie: HashCookie | None = None
    query_parameter: str | None = None
    minimum_ring_size: int | None = None
    maglev_table_size: int | None = None


@dataclass(frozen=True, slots=True)
class Warmup:
    """New endpoints get traffic slowly: `minimum_percent` of 100, `aggression` > 0."""

    duration: Milliseconds
    minimum_percent: float = 10.0
    aggression: float = 1.0


@dataclass(frozen=True, slots=True)
class LoadBalancing:
    """Either `consistent_hash` or `simple`."""

    simple: SimpleBalancing = SimpleBalancing.LEAST_REQUEST
    consistent_hash: ConsistentHash | None = None
    warmup: Warmup | None = None
