"""Changes to request and response headers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """`set` overwrites, `add` appends, `remove` takes away; pairs are sorted by name."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    """Changes on the way to the destination and on the way back."""

    request: HeaderChanges = HeaderChanges()
    response: HeaderChanges = HeaderChanges()
