"""Who calls whom, how often, how slowly and with how many errors, over the last seconds.

Each call counts once: as its caller's proxy sees it (with time-outs, retries and calls that reached nobody), and
where the caller has none, as its server's proxy sees it.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from meshwright.telemetry.exposition import DURATIONS, REQUESTS
from meshwright.telemetry.facts import UNKNOWN, MeshFacts
from meshwright.telemetry.labels import Labels
from meshwright.telemetry.totals import Growth

WINDOW_SECONDS = 30.0
CONNECTIONS = "istio_tcp_connections_opened_total"
SERVER_ERROR = 500
K = TypeVar("K")
Node = tuple[str, str, str]
"""Namespace, workload, version; of a service without workload ("", host, "")."""


@dataclass(frozen=True, slots=True)
class EdgeKey:
    """One caller, one destination, and the service that it asked for."""

    source: Node
    destination: Node
    service: str
    protocol: str


@dataclass(slots=True)
class EdgeCounts:
    """What passed an edge: `codes` by "<code> <flags>"."""

    count: float = 0.0
    errors: float = 0.0
    encrypted: float = 0.0
    codes: dict[str, float] = field(default_factory=dict[str, float])
    durations: dict[float, float] = field(default_factory=dict[float, float])

    def quantile(self, share: float) -> float | None:
        """The duration in ms that this share of the requests did not exceed, straight lines between bounds."""
        total = self.durations.get(math.inf, 0.0)
        if not total:
            return None
        lower, below = 0.0, 0.0
        for bound in sorted(self.durations):
            count = self.durations[bound]
            if count >= total * share:
                if math.isinf(bound):
                    return lower
                return lower + (bound - lower) * (total * share - below) / max(count - below, 1e-9)
            lower, below = bound, count
        return lower

    def include(self, more: "EdgeCounts") -> None:
        """Add what another one counts."""
        self.count += more.count
        self.errors += more.errors
        self.encrypted += more.encrypted
        _sum(self.codes, more.codes)
        _sum(self.durations, more.durations)

    def add(self, amount: float, code: str, flags: str, *, encrypted: bool) -> None:
        self.count += amount
        self.encrypted += amount if encrypted else 0.0
        self.errors += amount if is_failure(code) else 0.0
        key = f"{code or 'tcp'} {flags}"
        self.codes[key] = self.codes.get(key, 0.0) + amount


def is_failure(code: str) -> bool:
    """Whether a request with this code is an error: a server's, or no answer. Connections have no code."""
    return bool(code) and (not code.isdigit() or int(code) >= SERVER_ERROR or code == "0")


@dataclass(frozen=True, slots=True)
class _Slice:
    """What was counted up to a moment since the look before."""

    until: float
    edges: Mapping[EdgeKey, EdgeCounts]


class TrafficWindow:
    """Feed it after each look at the proxies; `edges` sums up the last `seconds`."""

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self.seconds = seconds
        self._slices: deque[_Slice] = deque()
        self._began = 0.0

    def take(self, grown: Iterable[Growth], facts: MeshFacts, now: float) -> Mapping[EdgeKey, EdgeCounts]:
        """Everything that was counted since the last call; `now` in seconds. By edge."""
        edges = by_edge(grown, facts)
        self._began = self._began or now
        self._slices.append(_Slice(now, edges))
        while self._slices and self._slices[0].until <= now - self.seconds:
            self._slices.popleft()
        return edges

    def edges(self, now: float) -> tuple[dict[EdgeKey, EdgeCounts], float]:
        """Sums by edge, and over how many seconds they are."""
        total: dict[EdgeKey, EdgeCounts] = {}
        for part in self._slices:
            for key, counts in part.edges.items():
                total.setdefault(key, EdgeCounts()).include(counts)
        return total, max(1.0, min(self.seconds, now - self._began))


def by_edge(grown: Iterable[Growth], facts: MeshFacts) -> dict[EdgeKey, EdgeCounts]:
    """Growth of counters as what passed between whom; each call once."""
    edges: dict[EdgeKey, EdgeCounts] = {}
    for growth in grown:
        if growth.metric in (REQUESTS, CONNECTIONS, DURATIONS):
            _count(edges, growth, facts)
    return edges


def node_id(node: Node) -> str:
    """`<namespace>/<workload>`, or the host of something outside of the mesh."""
    namespace, name, _ = node
    return f"{namespace}/{name}" if namespace else name


def edge_id(key: EdgeKey) -> str:
    """What tells one edge from all others."""
    return f"{node_id(key.source)}>{node_id(key.destination)}>{key.service}>{key.protocol}"


def _sum(total: dict[K, float], more: Mapping[K, float]) -> None:
    for key, amount in more.items():
        total[key] = total.get(key, 0.0) + amount


def _count(edges: dict[EdgeKey, EdgeCounts], growth: Growth, facts: MeshFacts) -> None:
    labels = dict(growth.labels)
    if labels["reporter"] == "destination" and caller_counts(labels, facts):
        return
    key = edge_of(growth.labels)
    counts = edges.setdefault(key, EdgeCounts())
    if growth.metric == DURATIONS:
        _sum(counts.durations, {float(growth.bound): growth.amount})
        return
    encrypted = labels["connection_security_policy"] == "mutual_tls"
    if labels["reporter"] == "source":
        encrypted = labels["destination_principal"] != UNKNOWN
    code = labels.get("response_code", "")
    counts.add(growth.amount, code, labels["response_flags"], encrypted=encrypted)


def caller_counts(labels: Mapping[str, str], facts: MeshFacts) -> bool:
    """Whether the caller has a proxy, which counts the same call."""
    pod = facts.workloads.get((labels["source_workload_namespace"], labels["source_workload"]))
    return pod is not None and pod.has_proxy


def edge_of(labels: Labels) -> EdgeKey:
    """The edge of one series."""
    told = dict(labels)
    destination: Node = (
        told["destination_workload_namespace"],
        told["destination_workload"],
        told["destination_version"],
    )
    if destination[1] == UNKNOWN:
        name = told["destination_service_name"]
        destination = ("", told["destination_service"] if name != UNKNOWN else UNKNOWN, "")
    source: Node = (told["source_workload_namespace"], told["source_workload"], told["source_version"])
    return EdgeKey(source, destination, told["destination_service"], told["request_protocol"])
