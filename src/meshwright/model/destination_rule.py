"""DestinationRule: how a destination is spoken to, and the subsets it has."""

from dataclasses import dataclass

from meshwright.model.client_tls import ClientTls
from meshwright.model.connection_pool import ConnectionPool
from meshwright.model.labels import Labels
from meshwright.model.load_balancing import LoadBalancing
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber, SubsetName
from meshwright.model.origin import Origin
from meshwright.model.outlier_detection import OutlierDetection


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """portLevelSettings: replaces the four blocks for one port entirely."""

    port: PortNumber
    load_balancing: LoadBalancing | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """None = not set. Blocks of a subset replace those of the rule block-wise."""

    origin: Origin
    load_balancing: LoadBalancing | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    ports: tuple[PortPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of the destination's endpoints."""

    name: SubsetName
    labels: Labels
    origin: Origin
    policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """`host` is expanded (or a left wildcard); `workload_selector` empty = every client."""

    meta: Meta
    host: Hostname
    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    workload_selector: Labels = Labels()
