"""What the compiler hands to distribution: encoded resources per proxy class, and who is in which class."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ElementPath, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.origin import Origin
from meshwright.model.proxy import ProxyClass


@dataclass(frozen=True, slots=True)
class EncodedResource:
    """One Envoy resource as bytes that are ready for the wire.

    `value` is the serialised message itself (what an Any of `type_url` holds);
    `frame` is a serialised DeltaDiscoveryResponse that holds this one resource, so that
    a response is the concatenation of a head and frames. `origins` lies beside the bytes, never in
    them: it maps places inside the resource to the fields that caused them, and is no part of
    equality or of `version` (a content hash of `value`).
    """

    type_url: TypeUrl
    name: ResourceName
    version: Version
    value: bytes
    frame: bytes
    origins: tuple[tuple[ElementPath, Origin], ...] = field(default=(), compare=False)


Resources = Mapping[TypeUrl, Mapping[ResourceName, EncodedResource]]


@dataclass(frozen=True, slots=True)
class Published:
    """One compilation: `classes` holds all resources of a class (clusters, endpoints, listeners, routes,
    extension configurations); equal classes share the very same objects. Secrets are never here: `secrets`
    lists per class the SDS names that its resources refer to.
    """

    proxies: Mapping[ProxyName, ProxyClass]
    classes: Mapping[ProxyClass, Resources]
    secrets: Mapping[ProxyClass, tuple[ResourceName, ...]]
    diagnostics: tuple[Diagnostic, ...] = ()

    def resources_of(self, proxy: ProxyName) -> Resources | None:
        """The resources of one proxy, or None when no such proxy is known."""
        proxy_class = self.proxies.get(proxy)
        return None if proxy_class is None else self.classes[proxy_class]
