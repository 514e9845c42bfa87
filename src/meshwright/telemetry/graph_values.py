"""The graph as values for JSON: nodes that take part in a call, and one edge per caller, destination and protocol."""

from collections.abc import Mapping
from typing import Any

from meshwright.telemetry.facts import UNKNOWN, MeshFacts
from meshwright.telemetry.graph import EdgeCounts, EdgeKey, Node, edge_id, node_id

P50, P95, P99 = 0.50, 0.95, 0.99


def graph_values(edges: Mapping[EdgeKey, EdgeCounts], seconds: float, facts: MeshFacts) -> dict[str, Any]:
    """`rps` are requests (or connections) per second; shares lie between 0 and 1; times are in ms, None = unknown."""
    nodes = {node for key in edges for node in (key.source, key.destination)}
    return {
        "window_seconds": round(seconds, 1),
        "nodes": [_node(node, facts) for node in sorted(nodes)],
        "edges": [
            _edge(key, counts, seconds) for key, counts in sorted(edges.items(), key=lambda one: edge_id(one[0]))
        ],
    }


def _node(node: Node, facts: MeshFacts) -> dict[str, Any]:
    namespace, name, version = node
    pod = facts.workloads.get((namespace, name))
    kind = "workload" if namespace and name != UNKNOWN else "unknown" if name == UNKNOWN else "service"
    return {
        "id": node_id(node),
        "kind": "gateway" if pod is not None and pod.is_gateway else kind,
        "namespace": namespace,
        "name": name,
        "app": pod.app if pod is not None else "",
        "version": version if version != UNKNOWN else "",
        "in_mesh": pod is not None and pod.has_proxy,
    }


def _edge(key: EdgeKey, counts: EdgeCounts, seconds: float) -> dict[str, Any]:
    total = counts.count or 1.0
    return {
        "id": edge_id(key),
        "source": node_id(key.source),
        "destination": node_id(key.destination),
        "service": key.service,
        "protocol": key.protocol,
        "count": round(counts.count),
        "rps": round(counts.count / seconds, 3),
        "error_share": round(counts.errors / total, 4),
        "mtls_share": round(counts.encrypted / total, 4),
        "p50_ms": _rounded(counts.quantile(P50)),
        "p95_ms": _rounded(counts.quantile(P95)),
        "p99_ms": _rounded(counts.quantile(P99)),
        "codes": [
            {"code": code.partition(" ")[0], "flags": code.partition(" ")[2], "count": round(amount)}
            for code, amount in sorted(counts.codes.items(), key=lambda one: -one[1])
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
