"""The tags of one proxy's series become Istio's labels.

Who calls is known by its address in the mesh's own network, and by its certificate where there is one; both must
agree.
Every label is there in every series, `unknown` where nobody knows: Kiali drops series that lack one.
"""

from collections.abc import Mapping

from meshwright.model import metric_tags
from meshwright.telemetry.exposition import Tags
from meshwright.telemetry.facts import CLUSTER, UNKNOWN, MeshFacts, PodFacts

CLUSTER_PARTS = 4  # outbound|9080|v1|reviews.default.svc.cluster.local
WORKLOAD_PARTS = 5  # workload;namespace;canonical service;revision;cluster
BLACK_HOLE = "BlackHoleCluster"
PASSTHROUGH = frozenset({"PassthroughCluster", "InboundPassthroughCluster", BLACK_HOLE})
Labels = tuple[tuple[str, str], ...]

REQUEST_LABELS = ("request_protocol", "response_code", "grpc_response_status", "response_flags")


def istio_labels(own: PodFacts, metric: str, tags: Tags, facts: MeshFacts) -> Labels:
    """All labels of a series that the proxy of `own` counts; sorted by name."""
    told = {name: "" if value in metric_tags.NOTHING else value for name, value in tags}
    for reporter in told.keys() & metric_tags.PLACES.keys():
        told |= metric_tags.parted(reporter, told.pop(reporter))
    source_side = told.get("reporter") == "source"
    labels = _as_source(own, told, facts) if source_side else _as_destination(own, told, facts)
    labels["reporter"] = "source" if source_side else "destination"
    if metric.endswith("_messages_total"):  # Istio counts these before it knows how the call ended
        labels.pop("connection_security_policy", None)
        return tuple(sorted(labels.items()))
    labels["response_flags"] = told.get("response_flags") or "-"
    if metric.startswith("istio_tcp"):
        labels["request_protocol"] = "tcp"
    else:
        grpc = told.get("grpc_response_status", "")
        labels["request_protocol"] = "grpc" if grpc else "http"
        labels["response_code"] = told.get("response_code") or "0"
        labels["grpc_response_status"] = grpc
    return tuple(sorted(labels.items()))


# ------------------------------------------------------------ both ends


def _end(side: str, pod: PodFacts | None, namespace: str = UNKNOWN, principal: str = "") -> dict[str, str]:
    """The labels of one end; of a pod that nobody knows at most the namespace of its certificate."""
    if pod is None:
        values = (UNKNOWN, namespace, UNKNOWN, UNKNOWN, UNKNOWN, "latest", UNKNOWN)
    else:
        values = (
            pod.workload,
            pod.namespace,
            pod.app or UNKNOWN,
            pod.version or UNKNOWN,
            pod.canonical_service or pod.workload,
            pod.canonical_revision,
            CLUSTER,
        )
    names = ("workload", "workload_namespace", "app", "version", "canonical_service", "canonical_revision", "cluster")
    return {f"{side}_{name}": value for name, value in zip(names, values, strict=True)} | {
        f"{side}_principal": principal or UNKNOWN
    }


def _service(host: str, name: str, namespace: str) -> dict[str, str]:
    return {
        "destination_service": host or UNKNOWN,
        "destination_service_name": name or UNKNOWN,
        "destination_service_namespace": namespace or UNKNOWN,
    }


def namespace_of(principal: str) -> str:
    """The namespace in spiffe://<trust domain>/ns/<namespace>/sa/<account>; unknown for anything else."""
    parts = principal.split("/")
    return parts[4] if parts[:1] == ["spiffe:"] and parts[3:4] == ["ns"] and len(parts) > 4 else UNKNOWN  # noqa: PLR2004


# ------------------------------------------------------------ the caller's proxy


def _as_source(own: PodFacts, told: Mapping[str, str], facts: MeshFacts) -> dict[str, str]:
    pod, namespace = _destination(told, facts)
    principal = told.get("destination_principal", "")
    labels = _end("source", own, principal=_own_identity(own, principal, facts))
    labels |= _end("destination", pod, namespace or namespace_of(principal), principal)
    labels |= _called(told, facts, labels["destination_workload_namespace"])
    labels["connection_security_policy"] = UNKNOWN  # as Istio: the server knows
    return labels


def _destination(told: Mapping[str, str], facts: MeshFacts) -> tuple[PodFacts | None, str]:
    """The workload that the endpoint's metadata names, as it is known, or as far as it is named."""
    parts = told.get("workload", "").split(";")
    if len(parts) != WORKLOAD_PARTS:
        return None, ""
    workload, namespace, service, revision, _ = parts
    known = facts.workloads.get((namespace, workload))
    if known is not None:
        return known, namespace
    named = PodFacts(
        "", namespace, "", workload, "", canonical_service=service, canonical_revision=revision or "latest"
    )
    return (named if workload else None), namespace


def _called(told: Mapping[str, str], facts: MeshFacts, namespace: str) -> dict[str, str]:
    """The service: by the cluster's name, by the route that refuses, else by the Host header."""
    cluster, host = told.get("cluster", ""), told.get("host", "")
    if told.get("route") == metric_tags.REFUSING_ROUTE and not cluster:
        return _service(host, BLACK_HOLE, namespace)
    if cluster in PASSTHROUGH:
        return _service(host, cluster, namespace)
    parts = cluster.split("|")
    if len(parts) != CLUSTER_PARTS:
        return _service(host, host, namespace)
    known = facts.services.get(parts[3])
    if known is not None:
        return _service(known.host, known.name, known.namespace)
    return _service(parts[3], parts[3].partition(".")[0], namespace)


# ------------------------------------------------------------ the server's proxy


def _as_destination(own: PodFacts, told: Mapping[str, str], facts: MeshFacts) -> dict[str, str]:
    principal = told.get("source_principal", "")
    server = _own_identity(own, principal, facts)
    caller = _caller(told.get("peer", ""), principal, facts)
    labels = _end("source", caller, namespace_of(principal), principal)
    labels |= _end("destination", own, principal=server)
    labels |= _served(own, told, facts)
    labels["connection_security_policy"] = "mutual_tls" if principal and server else "none"
    return labels


def _caller(address: str, principal: str, facts: MeshFacts) -> PodFacts | None:
    """The pod with this address, unless its certificate says that it is somebody else."""
    pod = facts.addresses.get(address)
    if pod is None or not principal:
        return pod
    return pod if principal == _identity(pod, facts) else None


def _identity(pod: PodFacts, facts: MeshFacts) -> str:
    return f"spiffe://{facts.trust_domain}/ns/{pod.namespace}/sa/{pod.service_account}"


def _own_identity(own: PodFacts, peer: str, facts: MeshFacts) -> str:
    """What the proxy showed itself to a peer with this identity: within meshes both sides show theirs. Asking Envoy
    for it would cost each request an operator.
    """
    return _identity(own, facts) if namespace_of(peer) != UNKNOWN else ""


def _served(own: PodFacts, told: Mapping[str, str], facts: MeshFacts) -> dict[str, str]:
    """The pod's own service on the port that was called; without one its canonical name."""
    cluster = told.get("cluster", "")
    if cluster in PASSTHROUGH:
        return _service(own.canonical_service or own.workload, cluster, own.namespace)
    parts = cluster.split("|")
    port = int(parts[1]) if len(parts) == CLUSTER_PARTS and parts[1].isdigit() else 0
    known = facts.services.get(own.services.get(port, ""))
    if known is not None:
        return _service(known.host, known.name, known.namespace)
    name = own.canonical_service or own.workload
    return _service(name, name, own.namespace)
