"""Copies of requests that are sent to another destination, answers thrown away."""

from dataclasses import dataclass

from meshwright.model.destination import Destination
from meshwright.model.names import PartsPerMillion
from meshwright.model.origin import Origin


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror destination and the share of requests that is copied to it."""

    destination: Destination
    share: PartsPerMillion
    origin: Origin
