"""PeerAuthentication: whether a workload takes mutual TLS, plain text or both."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber


class MutualTlsMode(StrEnum):
    """UNSET inherits from the wider scope."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True)
class PeerAuthentication:
    """`selector` empty = the namespace (or the mesh, in the root namespace).

    A document whose mode cannot be read is STRICT here (fails closed), with a finding of effect denied.
    """

    meta: Meta
    mode: MutualTlsMode
    selector: Labels = Labels()
    port_modes: tuple[tuple[PortNumber, MutualTlsMode], ...] = ()
