"""How one object stands in the mesh, and the conditions that say so. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.model import codes
from meshwright.model.diagnostic import Code, Diagnostic, Effect
from meshwright.model.names import ProxyName
from meshwright.store.names import Json

LIVE, RECONCILED, ANALYSIS = "Live", "Reconciled", "PassedAnalysis"
TYPES = (LIVE, RECONCILED, ANALYSIS)
_MOST_NAMES, _FEW_NAMES = 10, 3
_MOST_MESSAGES = 50
_LONGEST_MESSAGE = 2_000
_CODES_PAGE = "docs/codes.md"
_TITLES = {value.id: name.lower().replace("_", "-") for name, value in vars(codes).items() if isinstance(value, Code)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Envoy refuses what an object asks for: which resource, at which field, in which words, at which proxies."""

    resource: str
    path: str
    words: str
    proxies: tuple[ProxyName, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One generation of one object. `affected` proxies get other bytes by it; None: nobody knows any more, so that
    all proxies count. `waiting` ones are connected and do not run it yet, `absent` ones are not connected.
    `inherited`: it was live already when this process began, and what its status says of that stays.
    """

    generation: int
    change: int
    affected: tuple[ProxyName, ...] | None = None
    proxies: int = 0
    waiting: tuple[ProxyName, ...] = ()
    absent: tuple[ProxyName, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    refusal: Refusal | None = None
    suspected: bool = False
    inherited: bool = False

    @property
    def broken(self) -> tuple[Diagnostic, ...]:
        """Findings because of which not all of the object is in effect."""
        return tuple(each for each in self.findings if each.code.effect is not Effect.NOTED)

    @property
    def total(self) -> int:
        """How many proxies it concerns."""
        return self.proxies if self.affected is None else len(self.affected)

    @property
    def reached(self) -> bool:
        """Whether every connected proxy that it concerns runs this publication, and at least one does if any is."""
        return not self.waiting and (not self.total or len(self.absent) < self.total)

    @property
    def spread(self) -> bool:
        """Whether what can be used of it is at every proxy that it concerns."""
        return self.reached and self.refusal is None and not self.suspected and not self.withheld

    @property
    def withheld(self) -> bool:
        """Whether none of it is in effect, but what was before."""
        return any(each.code == codes.ROUTE_WITHHELD for each in self.findings)

    @property
    def is_passing(self) -> bool:
        """Whether it may well be another one in a moment."""
        return self.suspected or (bool(self.waiting) and self.refusal is None and not self.broken)

    @property
    def live(self) -> bool:
        """Whether the object is in effect as it is written."""
        return self.spread and not self.broken


def conditions(standing: Standing) -> tuple[Json, ...]:
    """Live (as it is written, at every connected proxy), and Istio's Reconciled and PassedAnalysis."""
    reason, message = explained(standing)
    return (
        _condition(LIVE, standing, reason, message, is_true=standing.live),
        _condition(RECONCILED, standing, *_spread(standing), is_true=standing.spread),
        _condition(ANALYSIS, standing, *_analysis(standing.findings), is_true=not standing.findings),
    )


def _condition(kind: str, standing: Standing, reason: str, message: str, *, is_true: bool) -> Json:
    return {
        "type": kind,
        "status": "True" if is_true else "False",
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "observedGeneration": standing.generation,
    }


def explained(standing: Standing) -> tuple[str, str]:
    """Reason and message of Live."""
    if standing.refusal is not None:
        return "Refused", refused(standing.refusal)
    if standing.broken:
        return "NotInEffect", _told(standing.broken)
    if standing.suspected:
        return "Suspected", "held back until it is known which object it is that Envoy refuses"
    change = f", change {standing.change}" if standing.change else ""
    away = f"; absent: {names(standing.absent)}" if standing.absent else ""
    total = standing.total
    if not total:
        return "NoProxyAffected", f"no proxy needs other configuration because of it{change}"
    reached = total - len(standing.waiting) - len(standing.absent)
    if standing.waiting:
        return "Waiting", f"live on {reached}/{total} proxies{change}; waiting for: {names(standing.waiting)}{away}"
    return ("Live" if reached else "Absent"), f"live on {reached}/{total} proxies{change}{away}"


def refused(refusal: Refusal) -> str:
    """One sentence: field, proxies, resource, and Envoy's own words."""
    place = f"{refusal.path}: " if refusal.path else ""
    where = f" at {names(refusal.proxies, _FEW_NAMES)}" if refusal.proxies else ""
    return f"{place}Envoy refuses {refusal.resource}{where}: {refusal.words.strip()}"


def _spread(standing: Standing) -> tuple[str, str]:
    complete = f"{standing.total - len(standing.waiting) - len(standing.absent)}/{standing.total} complete"
    if standing.refusal is not None:
        return "refused", f"Envoy refuses {standing.refusal.resource}"
    for found in standing.findings:
        if found.code == codes.ROUTE_WITHHELD:
            return "withheld", found.message
    return ("complete" if standing.spread else "stillPropagating"), complete


def _analysis(findings: Sequence[Diagnostic]) -> tuple[str, str]:
    errors = sum(each.code.effect is not Effect.NOTED for each in findings)
    warnings = len(findings) - errors
    counted = [_count(errors, "error"), _count(warnings, "warning")]
    said = " and ".join(each for each in counted if each)
    if not said:
        return "noProblemsFound", "nothing is wrong with it"
    return ("errorsFound" if errors else "warningsFound"), f"{said} found; see validationMessages. {_told(findings)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _told(findings: Sequence[Diagnostic]) -> str:
    return "; ".join(f"{each.origin.path or 'the object'}: {each.message} [{each.code.id}]" for each in findings)


def names(proxies: Sequence[ProxyName], most: int = _MOST_NAMES) -> str:
    """Names, not too many of them."""
    more = len(proxies) - most
    shown = ", ".join(proxies[:most])
    return f"{shown} and {more} more" if more > 0 else shown


def validation_messages(standing: Standing) -> list[Json]:
    """Findings as Istio's analysis writes them into a status, with field and fix besides."""
    return [_message(each) for each in standing.findings[:_MOST_MESSAGES]]


def _message(finding: Diagnostic) -> Json:
    code = finding.code
    value: dict[str, Any] = {
        "type": {"code": code.id},
        "level": "WARNING" if code.effect is Effect.NOTED else "ERROR",
        "documentationUrl": f"{_CODES_PAGE}#{code.id.lower()}-{_TITLES[code.id]}",
        "message": finding.message,
        "fix": finding.fix,
        "effect": str(code.effect),
    }
    return {**value, "field": finding.origin.path} if finding.origin.path else value
