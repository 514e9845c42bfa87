"""THE table of kinds: what the mesh reads, under which names, and how."""

from collections.abc import Callable
from dataclasses import dataclass

from meshwright.documents.document import Value
from meshwright.kinds import (
    config,
    destination_rule,
    gateway,
    peer_authentication,
    service,
    service_entry,
    virtual_service,
    workloads,
)
from meshwright.kinds.fields import Fields
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import Object
from meshwright.model.config import ConfigMap, MeshNamespace, SecretContent, SecretRef, ServiceAccount
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.meta import Meta
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.pod import Deployment, Pod
from meshwright.model.service import Service
from meshwright.model.virtual_service import VirtualService

MeshValue = (
    MeshNamespace | ServiceAccount | Service | Pod | Deployment | ConfigMap | SecretRef | SecretContent
    | VirtualService | DestinationRule | Gateway | PeerAuthentication
)  # fmt: skip
Reader = Callable[[Fields, Meta, Names], tuple[MeshValue, ...]]
Closed = Callable[[dict[str, Value], Meta], tuple[MeshValue, ...]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row. `read` takes a document that passed `schema`. `closed` is what a security object becomes when it
    did not: without it a refused object is left out. `secret`: no value of it may stand in a sentence.
    """

    group: str
    kind: str
    plural: str
    singular: str
    versions: tuple[str, ...]
    storage: str
    schema: Object
    read: Reader
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    closed: Closed | None = None
    secret: bool = False

    @property
    def api_versions(self) -> tuple[str, ...]:
        """As in `apiVersion`, the stored one first."""
        ordered = (self.storage, *(version for version in self.versions if version != self.storage))
        return tuple(f"{self.group}/{version}" if self.group else version for version in ordered)


_NETWORKING = "networking.istio.io"
_SECURITY = "security.istio.io"
_NETWORKING_VERSIONS = ("v1", "v1beta1", "v1alpha3")
_ISTIO = ("istio-io", "networking-istio-io")

KINDS: tuple[Kind, ...] = (
    Kind("", "Namespace", "namespaces", "namespace", ("v1",), "v1", config.NAMESPACE_SCHEMA, config.read_namespace,
         short_names=("ns",), namespaced=False),
    Kind("", "Service", "services", "service", ("v1",), "v1", service.SCHEMA, service.read,
         short_names=("svc",), categories=("all",)),
    Kind("", "ServiceAccount", "serviceaccounts", "serviceaccount", ("v1",), "v1", config.SERVICE_ACCOUNT_SCHEMA,
         config.read_service_account, short_names=("sa",)),
    Kind("", "Pod", "pods", "pod", ("v1",), "v1", workloads.POD_SCHEMA, workloads.read_pod,
         short_names=("po",), categories=("all",)),
    Kind("apps", "Deployment", "deployments", "deployment", ("v1",), "v1", workloads.DEPLOYMENT_SCHEMA,
         workloads.read_deployment, short_names=("deploy",), categories=("all",)),
    Kind("apps", "StatefulSet", "statefulsets", "statefulset", ("v1",), "v1", workloads.STATEFUL_SET_SCHEMA,
         workloads.read_stateful_set, short_names=("sts",), categories=("all",)),
    Kind("", "ConfigMap", "configmaps", "configmap", ("v1",), "v1", config.CONFIG_MAP_SCHEMA, config.read_config_map,
         short_names=("cm",)),
    Kind("", "Secret", "secrets", "secret", ("v1",), "v1", config.SECRET_SCHEMA, config.read_secret, secret=True),
    Kind(_NETWORKING, "VirtualService", "virtualservices", "virtualservice", _NETWORKING_VERSIONS, "v1",
         virtual_service.SCHEMA, virtual_service.read, short_names=("vs",), categories=_ISTIO),
    Kind(_NETWORKING, "DestinationRule", "destinationrules", "destinationrule", _NETWORKING_VERSIONS, "v1",
         destination_rule.SCHEMA, destination_rule.read, short_names=("dr",), categories=_ISTIO),
    Kind(_NETWORKING, "Gateway", "gateways", "gateway", _NETWORKING_VERSIONS, "v1", gateway.SCHEMA, gateway.read,
         short_names=("gw",), categories=_ISTIO),
    Kind(_NETWORKING, "ServiceEntry", "serviceentries", "serviceentry", _NETWORKING_VERSIONS, "v1",
         service_entry.SCHEMA, service_entry.read, short_names=("se",), categories=_ISTIO),
    Kind(_SECURITY, "PeerAuthentication", "peerauthentications", "peerauthentication", ("v1", "v1beta1"), "v1",
         peer_authentication.SCHEMA, peer_authentication.read, short_names=("pa",),
         categories=("istio-io", "security-istio-io"), closed=peer_authentication.closed),
)  # fmt: skip
