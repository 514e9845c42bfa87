"""Findings for people and for programs."""

from typing import TypedDict

from meshwright.documents.document import Location
from meshwright.documents.identity import FILE
from meshwright.documents.lines import Lines
from meshwright.model.diagnostic import Diagnostic


class JsonObject(TypedDict):
    """The object of a finding."""

    kind: str
    namespace: str
    name: str


class JsonFinding(TypedDict):
    """A finding for programs."""

    code: str
    object: JsonObject
    message: str
    path: str
    line: int | None
    effect: str
    file: str | None
    fix: str
    istio: str | None


def render(diagnostic: Diagnostic, lines: Lines) -> str:
    """One line: `file:line: object path: what is wrong. Fix: what to do [code, effect]`."""
    place, origin = lines.find(diagnostic.origin), diagnostic.origin
    parts = [] if place is None else [f"{place.file}:{place.line}:"]
    if origin.object.kind != FILE:
        parts.append(f"{origin.object} {origin.path}:" if origin.path else f"{origin.object}:")
    code = diagnostic.code
    parts.append(f"{diagnostic.message}. Fix: {diagnostic.fix} [{code.id}, {code.effect}]")
    return " ".join(parts)


def as_json(diagnostic: Diagnostic, lines: Lines) -> JsonFinding:
    """The finding as `analyze -o json` prints it; `line` and `file` are null where no document is
    known, `istio` where Istio has no number for it.
    """
    place: Location | None = lines.find(diagnostic.origin)
    ref = diagnostic.origin.object
    return {
        "code": diagnostic.code.id,
        "object": {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name},
        "message": diagnostic.message,
        "path": diagnostic.origin.path,
        "line": None if place is None else place.line,
        "effect": str(diagnostic.code.effect),
        "file": None if place is None else place.file,
        "fix": diagnostic.fix,
        "istio": diagnostic.code.istio or None,
    }
