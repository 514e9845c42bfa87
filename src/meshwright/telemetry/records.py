"""The last requests of each edge, as proxies log them: a bounded memory, newest first."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from meshwright.model import metric_tags
from meshwright.telemetry.facts import UNKNOWN, MeshFacts, PodFacts
from meshwright.telemetry.graph import caller_counts, edge_id, edge_of, node_id
from meshwright.telemetry.labels import istio_labels

PER_EDGE = 200
MOST_EDGES = 500


class RequestRing:
    """At most `PER_EDGE` records of each of the `MOST_EDGES` edges that had requests last."""

    def __init__(self) -> None:
        self._edges: OrderedDict[str, deque[Mapping[str, Any]]] = OrderedDict()

    def add(self, edge: str, record: Mapping[str, Any]) -> None:
        """Keep one record."""
        kept = self._edges.get(edge)
        if kept is None:
            kept = self._edges[edge] = deque(maxlen=PER_EDGE)
            if len(self._edges) > MOST_EDGES:
                self._edges.popitem(last=False)
        self._edges.move_to_end(edge)
        kept.append(record)

    def last(self, edge: str, most: int) -> list[dict[str, Any]]:
        """Those of one edge, the newest first."""
        return [dict(each) for each in reversed(self._edges.get(edge, ()))][:most]


def record_of(own: PodFacts, said: Mapping[str, Any], facts: MeshFacts) -> tuple[str, dict[str, Any]] | None:
    """The edge's id and what is shown of one request; None when the caller's proxy tells the same one."""
    tags = tuple((name, str(said.get(name) or "")) for name in metric_tags.NAMES)
    metric = "istio_requests_total" if said.get("method") else "istio_tcp_connections_closed_total"
    labels = istio_labels(own, metric, tags, facts)
    told = dict(labels)
    if told["reporter"] == "destination" and caller_counts(told, facts):
        return None
    edge = edge_of(labels)
    return edge_id(edge), {
        "time": said.get("time"),
        "reporter": told["reporter"],
        "source": node_id(edge.source),
        "destination": node_id(edge.destination),
        "service": edge.service,
        "protocol": edge.protocol,
        "scheme": said.get("scheme"),
        "method": said.get("method"),
        "path": said.get("path"),
        "authority": said.get("authority"),
        "code": told.get("response_code"),
        "flags": told["response_flags"],
        "details": said.get("details"),
        "failure": said.get("failure"),
        "ms": said.get("ms"),
        "received": said.get("received"),
        "sent": said.get("sent"),
        "attempts": said.get("attempts"),
        "route": said.get("route"),
        "config": said.get("config"),
        "id": said.get("id"),
        "upstream": said.get("upstream"),
        "mtls": told["destination_principal"] != UNKNOWN,
    }
