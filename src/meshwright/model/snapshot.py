"""The compiler's whole input: one immutable picture of the mesh. Never holds a private key."""

from dataclasses import dataclass

from meshwright.model.config import MeshNamespace, SecretRef
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.proxy import Proxy
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings
from meshwright.model.virtual_service import VirtualService
from meshwright.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects keep their identity from one snapshot to the next when they did not change: that is what
    the compiler's memo lives on. Order of the tuples has no meaning; the compiler sorts.

    Clients follow `peer_authentications`. While these change, servers take what clients may send before and after:
    `also_accepted` are the policies that some clients follow instead, all of them; None when there are none.
    """

    settings: MeshSettings = MeshSettings()
    namespaces: tuple[MeshNamespace, ...] = ()
    services: tuple[Service, ...] = ()
    workloads: tuple[Workload, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    also_accepted: tuple[PeerAuthentication, ...] | None = None
    secrets: tuple[SecretRef, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    envoy_version: str = "1.40.0"
