"""What the compiler hands to distribution: encoded resources per proxy class, and who is in which class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ElementPath, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.origin import Origin
from meshwright.model.proxy import ProxyClass

Origins = tuple[tuple[ElementPath, Origin], ...]


@dataclass(frozen=True, slots=True)
class EncodedResource:
    """One Envoy resource as bytes that are ready for the wire.

    `pieces`, one after the other, are the `frame`: a serialised DeltaDiscoveryResponse that holds this one resource,
    so that a response is the concatenation of a head and frames. All pieces but the first are the `value`: the
    serialised message itself (what an Any of `type_url` holds). A route configuration of a thousand virtual hosts
    shares its pieces with its predecessors and with nobody's copy. `placed` lies beside the bytes, never in them: in
    groups, which places inside the resource come from which fields. Equal type, name and `version` (a content hash of
    `value`) are equal resources.
    """

    type_url: TypeUrl
    name: ResourceName
    version: Version
    pieces: tuple[bytes, ...] = field(compare=False, repr=False)
    placed: tuple[Origins, ...] = field(default=(), compare=False, repr=False)

    @property
    def value(self) -> bytes:
        """The message, put together at each call."""
        return b"".join(self.pieces[1:])

    @property
    def frame(self) -> bytes:
        """What goes on the wire, put together at each call."""
        return b"".join(self.pieces)

    @property
    def origins(self) -> Origins:
        """Places inside the resource with the fields that caused them."""
        return tuple(chain.from_iterable(self.placed))


Resources = Mapping[TypeUrl, Mapping[ResourceName, EncodedResource]]


@dataclass(frozen=True, slots=True)
class Published:
    """One compilation: `classes` holds all resources of a class (clusters, endpoints, listeners, routes,
    extension configurations); equal classes share the very same objects. Secrets are never here: `secrets`
    lists per class the SDS names that its resources refer to. The mappings may be `ChunkedMapping`s, whose
    differences to those of another compilation are found without a look at everything (`model.chunked.differing`).
    """

    proxies: Mapping[ProxyName, ProxyClass]
    classes: Mapping[ProxyClass, Resources]
    secrets: Mapping[ProxyClass, tuple[ResourceName, ...]]
    diagnostics: tuple[Diagnostic, ...] = ()
    change: int = field(default=0, compare=False)

    def resources_of(self, proxy: ProxyName) -> Resources | None:
        """The resources of one proxy, or None when no such proxy is known."""
        proxy_class = self.proxies.get(proxy)
        return None if proxy_class is None else self.classes[proxy_class]
