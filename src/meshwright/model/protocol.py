"""What is spoken on a port."""

from enum import StrEnum


class Protocol(StrEnum):
    """AUTO = not declared, to be detected by the proxy."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-Web"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"
    AUTO = "AUTO"

    @property
    def is_http(self) -> bool:
        """Plain text HTTP of any version, whose requests the proxy can read."""
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_http2(self) -> bool:
        return self in (Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_tls(self) -> bool:
        """Encrypted by the application: routed by SNI."""
        return self in (Protocol.HTTPS, Protocol.TLS)
