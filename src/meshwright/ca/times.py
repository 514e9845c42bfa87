"""How long certificates of the mesh live."""

from dataclasses import dataclass
from datetime import timedelta

SHORTEST = timedelta(seconds=2)
"""A leaf is renewed at half its life; below this, nobody could keep up."""


@dataclass(frozen=True, slots=True)
class CertificateTimes:
    """Lifetimes: of a workload's certificate, of the issuer that signs them, of the root that signs issuers."""

    leaf: timedelta = timedelta(hours=24)
    issuer: timedelta = timedelta(days=365)
    root: timedelta = timedelta(days=3650)

    def problem(self) -> str:
        """Why these cannot be used; "" when they can."""
        if self.leaf < SHORTEST:
            return f"a leaf certificate must live {SHORTEST.total_seconds():g} s at least"
        if self.issuer < 2 * self.leaf:
            return "an issuer must live at least twice as long as the leaf certificates that it signs"
        if self.root < 2 * self.issuer:
            return "a root must live at least twice as long as the issuers that it signs"
        return ""


DEFAULT_TIMES = CertificateTimes()
