"""TLS that a client proxy starts towards a destination (DestinationRule trafficPolicy.tls)."""

from dataclasses import dataclass
from enum import StrEnum


class ClientTlsMode(StrEnum):
    """As in Istio."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Files are paths at the proxy; `credential_name` names a Secret."""

    mode: ClientTlsMode
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool = False
