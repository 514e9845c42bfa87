"""The rules of all kinds, as the object API asks for them: one object in, everything that is wrong with it out."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from meshwright.apiserver.failure import FieldError
from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects
from meshwright.kinds.table import KINDS
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic, Effect
from meshwright.model.objects import MeshObjects
from meshwright.wiring.proposals import in_words
from meshwright.wiring.references import References

_READ = frozenset((api_version, kind.kind) for kind in KINDS for api_version in kind.api_versions)
_REASONS: Mapping[str, str] = {
    codes.MISSING_FIELD.id: "FieldValueRequired",
    codes.WRONG_TYPE.id: "FieldValueTypeInvalid",
    codes.UNKNOWN_VALUE.id: "FieldValueNotSupported",
    codes.DUPLICATE.id: "FieldValueDuplicate",
}


class Counted(Protocol):
    """Told of each object that was put before the rules of its kind."""

    def __call__(self, value: Mapping[str, Any], *, accepted: bool) -> None:
        """Whether they accept it."""
        ...


class Door:
    """The rules of all kinds; with `known`, warnings about what an object refers to and nobody has as well."""

    def __init__(
        self, known: Callable[[], MeshObjects | None] = lambda: None, counted: Counted | None = None
    ) -> None:
        """`counted` is told each object, and whether its kind's rules accept it."""
        self._known = known
        self._counted = counted
        self._references = References(known)

    def field_errors(self, value: dict[str, Any]) -> tuple[FieldError, ...]:
        """Findings of an object by its kind's rules; those that do not refuse it are warnings."""
        if (value.get("apiVersion"), value.get("kind")) not in _READ:
            return ()
        loaded = read_objects((read(json.dumps(value), "the object"),))
        findings = (*loaded.diagnostics, *self._references.missing(loaded.objects))
        errors = (*map(_error, findings), *self._remedies(loaded.objects))
        if self._counted is not None:
            self._counted(value, accepted=all(error.warning for error in errors))
        return errors

    def _remedies(self, objects: MeshObjects) -> Iterator[FieldError]:
        """Warnings with what to add so that the subsets that an object names are there."""
        around = self._known()
        if around is None or not objects.virtual_services:
            return
        said = in_words(objects.virtual_services, around)
        if said:
            yield FieldError("spec", f"it takes effect when its subsets are there. {'; '.join(said)}", warning=True)


def _error(finding: Diagnostic) -> FieldError:
    """A finding in the API's words. A broken security object is refused at the door, not denied."""
    warning = finding.code.effect in (Effect.NOTED, Effect.DROPPED)
    reason = _REASONS.get(finding.code.id, "FieldValueInvalid")
    return FieldError(finding.origin.path, f"{finding.message}: {finding.fix}", reason, warning)
