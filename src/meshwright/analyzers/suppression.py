"""Findings that a user does not want to be told of: by an annotation of the object, or by rules of the command."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef

ANNOTATION = "galley.istio.io/analyze-suppress"
ALL_CODES = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Findings of a code (ours or Istio's) about objects whose `<Kind> <name>.<namespace>` fits the pattern."""

    code: str
    pattern: str

    def covers(self, code: str, istio: str, ref: ObjectRef) -> bool:
        """Whether it is about this finding."""
        name = f"{ref.kind} {ref.name}.{ref.namespace}" if ref.namespace else f"{ref.kind} {ref.name}"
        return _is_meant(self.code, code, istio) and fnmatchcase(name, self.pattern)


def _is_meant(word: str, code: str, istio: str) -> bool:
    """Whether a word names this code: MW0106, IST0130, or `*`."""
    return word == ALL_CODES or word.upper() in {code, istio}


def annotated(objects: MeshObjects) -> Mapping[ObjectRef, tuple[str, ...]]:
    """The codes that objects name in their annotation."""
    every = (
        *objects.namespaces, *objects.service_accounts, *objects.services, *objects.pods, *objects.deployments,
        *objects.config_maps, *objects.secrets, *objects.virtual_services, *objects.destination_rules,
        *objects.gateways, *objects.peer_authentications,
    )  # fmt: skip
    found: dict[ObjectRef, tuple[str, ...]] = {}
    for each in every:
        if text := each.meta.annotations.get(ANNOTATION):
            found[each.meta.ref] = tuple(word.strip() for word in text.split(",") if word.strip())
    return found


def told(findings: Iterable[Diagnostic], quiet: Mapping[ObjectRef, tuple[str, ...]]) -> tuple[Diagnostic, ...]:
    """The findings that no annotation (`quiet`, see `annotated`) suppresses, in their order."""
    return tuple(
        finding
        for finding in findings
        if not any(
            _is_meant(word, finding.code.id, finding.code.istio) for word in quiet.get(finding.origin.object, ())
        )
    )
