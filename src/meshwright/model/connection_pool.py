"""Limits and timers of the connections to a destination (circuit breaking)."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.names import Milliseconds


class H2Upgrade(StrEnum):
    """Whether HTTP/1.1 to a destination is sent as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    """0 or None leaves the system's value."""

    probes: int | None = None
    time: Milliseconds | None = None
    interval: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """None = not set by the user."""

    max_connections: int | None = None
    connect_timeout: Milliseconds | None = None
    keepalive: TcpKeepalive | None = None
    max_connection_duration: Milliseconds | None = None
    tcp_idle_timeout: Milliseconds | None = None
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    http_idle_timeout: Milliseconds | None = None
    h2_upgrade: H2Upgrade = H2Upgrade.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: int | None = None
