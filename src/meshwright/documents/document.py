"""One object that a user wrote, as plain values, and the place of every field in its file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.origin import ObjectRef, Origin

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


class Mark(NamedTuple):
    """Where a field or list element starts (1-based), and the marks of what is inside it."""

    line: int
    column: int
    inside: "dict[str, Mark] | list[Mark] | None" = None


class Location(NamedTuple):
    """A place in a file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int = 1


_PART = re.compile(r'\["(?P<quoted>.*?)"\]|\[(?P<index>\d+)\]|\.?(?P<name>[^.\[]+)')


def parts_of(path: str) -> tuple[str | int, ...]:
    """`spec.http[0].labels["a.b/c"]` as ("spec", "http", 0, "labels", "a.b/c")."""
    parts: list[str | int] = []
    for match in _PART.finditer(path):
        index = match["index"]
        parts.append(int(index) if index is not None else match["quoted"] or match["name"] or "")
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Document:
    """One object. `index` counts the objects of the file from 0. `refused`: something was wrong with the text
    itself (then `value` holds what could be read, at least the identity).
    """

    file: str
    index: int
    ref: ObjectRef
    value: dict[str, Value]
    mark: Mark
    refused: bool = False

    @property
    def origin(self) -> Origin:
        return Origin(self.ref)

    def locate(self, path: str) -> Location:
        """The place of a field; of its nearest known parent when the field itself is not written."""
        mark = self.mark
        for part in parts_of(path):
            inside = mark.inside
            if isinstance(inside, dict) and part in inside:
                mark = inside[str(part)]
            elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
                mark = inside[part]
            else:
                break
        return Location(self.file, mark.line, mark.column)


@dataclass(frozen=True, slots=True)
class Parsed:
    """All objects of one text, and what was wrong with the rest. `places` holds the lines of those findings
    that no document can answer for.
    """

    documents: tuple[Document, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    places: Mapping[Origin, Location] = field(default_factory=dict[Origin, Location])
