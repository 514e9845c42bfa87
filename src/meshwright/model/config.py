"""ConfigMaps, Secrets, Namespaces and ServiceAccounts as far as the mesh uses them."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.meta import Meta


@dataclass(frozen=True, slots=True)
class MeshNamespace:
    """A namespace; its labels decide injection (istio-injection=disabled opts out)."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An identity's name."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """Plain settings."""

    meta: Meta
    data: tuple[tuple[str, str], ...]


class SecretUse(StrEnum):
    """What a Secret's keys make it good for."""

    TLS = "tls"  # certificate and key (and perhaps a CA)
    CA = "ca"  # CA certificate only
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """All that the compiler may know of a Secret: that it is there, what it is for, and whether it changed. `problem`
    is why its certificates cannot be used, as far as somebody who may look has looked.
    """

    meta: Meta
    use: SecretUse
    has_ca: bool
    fingerprint: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SecretContent:
    """The content, for the shells that serve it (SDS) and for nobody else. Never part of a Snapshot."""

    meta: Meta
    data: tuple[tuple[str, bytes], ...]

    def __repr__(self) -> str:
        return f"SecretContent({self.meta.ref}, keys={[key for key, _ in self.data]})"
