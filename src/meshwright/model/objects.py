"""Everything that was read from documents, sorted into kinds."""

from dataclasses import dataclass, fields

from meshwright.model.config import ConfigMap, MeshNamespace, SecretContent, SecretRef, ServiceAccount
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.pod import Deployment, Pod
from meshwright.model.service import Service
from meshwright.model.virtual_service import VirtualService


@dataclass(frozen=True, slots=True)
class MeshObjects:
    """What the readers made of a set of documents. Services hold ServiceEntry hosts too."""

    namespaces: tuple[MeshNamespace, ...] = ()
    service_accounts: tuple[ServiceAccount, ...] = ()
    services: tuple[Service, ...] = ()
    pods: tuple[Pod, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()
    secrets: tuple[SecretRef, ...] = ()
    secret_contents: tuple[SecretContent, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()

    @property
    def count(self) -> int:
        """How many objects there are; a Secret counts once."""
        return sum(len(getattr(self, each.name)) for each in fields(self) if each.name != "secret_contents")
