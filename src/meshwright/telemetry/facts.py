"""What the control plane knows of workloads and services: it gives meaning to the addresses that proxies count by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

UNKNOWN = "unknown"
CLUSTER = "Kubernetes"
"""Istio's default cluster id."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod. `name` is <pod>.<namespace>; `app`, `version` are labels ("" = not labelled); `services` maps ports of
    the pod to the host names of the services that lead there.
    """

    name: str
    namespace: str
    address: str
    workload: str
    service_account: str
    app: str = ""
    version: str = ""
    canonical_service: str = ""
    canonical_revision: str = "latest"
    is_gateway: bool = False
    has_proxy: bool = True
    services: Mapping[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One service by its host."""

    host: str
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """All of it, with look-ups. A pod that has gone is kept as long as nobody else has its address."""

    pods: Mapping[str, PodFacts] = field(default_factory=dict[str, PodFacts])  # by name
    addresses: Mapping[str, PodFacts] = field(default_factory=dict[str, PodFacts])
    workloads: Mapping[tuple[str, str], PodFacts] = field(default_factory=dict[tuple[str, str], PodFacts])
    services: Mapping[str, ServiceFacts] = field(default_factory=dict[str, ServiceFacts])
    trust_domain: str = "cluster.local"


NO_FACTS = MeshFacts()


def facts_of(
    pods: tuple[PodFacts, ...],
    services: tuple[ServiceFacts, ...],
    trust_domain: str,
    before: MeshFacts = NO_FACTS,
) -> MeshFacts:
    """What is known now, with what was known before of pods that have gone."""
    named = {pod.name: pod for pod in pods}
    addresses = {**before.addresses, **{pod.address: pod for pod in pods if pod.address}}
    workloads = {**before.workloads, **{(pod.namespace, pod.workload): pod for pod in pods}}
    return MeshFacts(named, addresses, workloads, {each.host: each for each in services}, trust_domain)
