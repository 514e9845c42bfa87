"""Gateway: which ports a gateway proxy opens, for which hosts, with which certificates."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol


class ServerTlsMode(StrEnum):
    """As in Istio."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """`https_redirect` answers plain HTTP with 301; mode None only together with it."""

    mode: ServerTlsMode | None = None
    https_redirect: bool = False
    credential_name: str = ""
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    subject_alt_names: tuple[str, ...] = ()
    min_version: str = ""  # "", TLSV1_0 .. TLSV1_3
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerHost:
    """`[namespace/]host`: namespace "*" = any, "." is already resolved; host may start with `*.` or be `*`."""

    namespace: str
    host: str


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of spec.servers."""

    origin: Origin
    port: PortNumber
    port_name: str
    protocol: Protocol
    hosts: tuple[ServerHost, ...]
    name: str = ""
    bind: str = ""
    tls: ServerTls | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """`selector` empty = every gateway proxy."""

    meta: Meta
    selector: Labels
    servers: tuple[Server, ...]
