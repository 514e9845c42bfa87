"""Where something came from: an object that a user wrote, and the field in it.

A line is not part of an origin: lines move when a comment moves, and values that
the compiler reads must not change then. `documents` finds the line for an origin
when somebody asks.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """One object by group-less kind, namespace ("" when cluster-scoped) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A field of an object: `path` is written as users write it, e.g. spec.http[0].route[1].weight."""

    object: ObjectRef
    path: str = ""

    def field(self, name: str) -> "Origin":
        """The member `name` of this field; names with a dot or slash are put in ["..."]."""
        part = f'["{name}"]' if "." in name or "/" in name or not name else name
        joined = f"{self.path}{part}" if part.startswith("[") else f"{self.path}.{part}"
        return Origin(self.object, joined if self.path else part)

    def item(self, index: int) -> "Origin":
        """The element `index` of this list."""
        return Origin(self.object, f"{self.path}[{index}]")
