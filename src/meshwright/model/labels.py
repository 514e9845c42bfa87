"""Labels and the selectors that match them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """Key/value pairs, sorted by key, so that equal labels are equal values."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> "Labels":
        return cls(tuple(sorted(mapping.items())))

    def get(self, key: str, default: str = "") -> str:
        return next((value for name, value in self.pairs if name == key), default)

    def includes(self, wanted: "Labels") -> bool:
        """Whether every pair of `wanted` is here; an empty `wanted` is included in everything."""
        mine = dict(self.pairs)
        return all(mine.get(key) == value for key, value in wanted.pairs)

    @property
    def text(self) -> str:
        """As people write selectors."""
        return ", ".join(f"{key}={value}" for key, value in self.pairs)

    def __bool__(self) -> bool:
        return bool(self.pairs)
