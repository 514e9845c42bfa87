"""Everything that one class of proxies sees; the input of all Envoy builders.

A view is put together anew for each compilation (cheap: references only). Builders that
are remembered between compilations take the narrow parts of it as arguments, never the view.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meshwright.compiler.visibility.owners import NOBODY, Owners
from meshwright.model.config import SecretRef
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.names import Hostname
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.proxy import ProxyClass
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings
from meshwright.model.virtual_service import VirtualService


@dataclass(frozen=True, slots=True)
class VisibleService:
    """A service as this class of clients reaches it.

    `rule` is the one effective DestinationRule (subsets of several merged, most specific host, client namespace
    before service namespace before root), or None. `server_mode` is the mutual TLS mode that automatic mutual TLS
    infers (DISABLE for mesh-external ones). `identities` are the SPIFFE URIs of its endpoints, sorted.
    `all_have_proxy` is what headless services need for mutual TLS.
    """

    service: Service
    rule: DestinationRule | None = None
    server_mode: MutualTlsMode = MutualTlsMode.DISABLE
    identities: tuple[str, ...] = ()
    all_have_proxy: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """`services` by host. `virtual_services` (routers only), visible to the class and bound to one of its gateways,
    oldest first; `owners` (sidecars only) are those for `mesh`, by host. `gateways`: those that select this class
    (routers only), oldest first. `secrets` by name: those of the class's own namespace (routers only). `buckets`
    (sidecars only) are the services once more, in groups: a host is always in the same one, and a group in which
    nothing changed is the same object as last time.
    """

    proxy_class: ProxyClass
    settings: MeshSettings
    services: Mapping[Hostname, VisibleService]
    virtual_services: tuple[VirtualService, ...]
    gateways: tuple[Gateway, ...]
    secrets: Mapping[str, SecretRef]
    buckets: tuple[Mapping[Hostname, VisibleService], ...] = ()
    owners: Owners = NOBODY
