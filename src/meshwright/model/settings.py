"""Mesh-wide settings: Istio's MeshConfig as far as it is used."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.names import Milliseconds


class OutboundMode(StrEnum):
    """What happens to traffic for hosts that the mesh does not know."""

    ALLOW_ANY = "ALLOW_ANY"
    REGISTRY_ONLY = "REGISTRY_ONLY"


class AccessLogEncoding(StrEnum):
    """How a line of the access log is written."""

    TEXT = "TEXT"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class StatsMatcher:
    """Which of Envoy's own statistics are kept beside Istio's few: by how their names begin, end, or by RE2 as a
    whole. `{pod_ip}` in one stands for the pod's address.
    """

    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    regexps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """Defaults are Istio's."""

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    root_namespace: str = "istio-system"
    cluster_domain: str = "cluster.local"
    outbound_mode: OutboundMode = OutboundMode.ALLOW_ANY
    auto_mutual_tls: bool = True
    connect_timeout: Milliseconds = Milliseconds(10_000)
    dns_refresh_rate: Milliseconds = Milliseconds(60_000)
    access_log_file: str = ""  # "" = off; the demo profile writes /dev/stdout
    access_log_format: str = ""  # "" = Istio's default text line
    access_log_encoding: AccessLogEncoding = AccessLogEncoding.TEXT
    min_tls_version: str = "TLSV1_2"
    leaf_lifetime: Milliseconds | None = None  # of workloads' certificates, if shorter than what the authority gives
    kept_stats: StatsMatcher = StatsMatcher()
    metrics: bool = True  # Istio's standard metrics, counted by every proxy
    records: bool = False  # each request as a line that the telemetry worker reads; on in a mesh that lives
