"""Where a rule sends traffic: a host, perhaps a subset of it, and a port."""

from dataclasses import dataclass

from meshwright.model.names import Hostname, PortNumber, SubsetName


@dataclass(frozen=True, slots=True)
class Destination:
    """`host` is already expanded (short names are resolved against the rule's namespace by the reader).

    `port` is None when the user left it out; that is right only when the service has one port.
    """

    host: Hostname
    subset: SubsetName | None = None
    port: PortNumber | None = None
