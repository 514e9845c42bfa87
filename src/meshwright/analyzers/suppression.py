"""Findings that a user does not want to be told of: by an annotation of the object, or by rules of the command."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from meshwright.model.diagnostic import Code, Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef

ANNOTATION = "galley.istio.io/analyze-suppress"
ALL_CODES = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Findings of a code (ours or Istio's) about objects whose `<Kind> <name>.<namespace>` fits the pattern."""

    code: str
    pattern: str

    def covers(self, finding: Diagnostic) -> bool:
        ref = finding.origin.object
        name = f"{ref.kind} {ref.name}.{ref.namespace}" if ref.namespace else f"{ref.kind} {ref.name}"
        return is_meant(self.code, finding.code) and fnmatchcase(name, self.pattern)


def is_meant(word: str, code: Code) -> bool:
    """Whether a word names this code: MW0106, IST0130, or `*`."""
    return word == ALL_CODES or word.upper() in {code.id, code.istio}


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


def told(findings: Iterable[Diagnostic], objects: MeshObjects, rules: Iterable[Rule] = ()) -> tuple[Diagnostic, ...]:
    """The findings that nobody has suppressed, in their order."""
    quiet, given = annotated(objects), tuple(rules)
    return tuple(
        finding
        for finding in findings
        if not any(is_meant(word, finding.code) for word in quiet.get(finding.origin.object, ()))
        and not any(rule.covers(finding) for rule in given)
    )
