"""DestinationRules become, for a client and a host, the one that holds: looked up by namespace, then merged."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from meshwright.model import codes
from meshwright.model.destination_rule import DestinationRule, Subset
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.hosts import covers
from meshwright.model.labels import Labels
from meshwright.model.names import Hostname, SubsetName

EVERYONE = "*"


def effective(
    host: Hostname, levels: Iterable[Sequence[DestinationRule]], client: str, matched: frozenset[object]
) -> DestinationRule | None:
    """The rule for `host`. `levels`: the rules of the client's namespace, of the service's and of the root, in that
    order and each exported as far as it must be; within a level the most specific host wins, and a rule whose
    workloadSelector chose the client (`matched`) before those for everyone.
    """
    for rules in levels:
        usable = [rule for rule in rules if covers(rule.host, host) and _is_for(rule, client, matched)]
        if usable:
            closest = max(usable, key=lambda rule: _closeness(rule.host, host)).host
            return _merged_of([rule for rule in usable if rule.host == closest])
    return None


def is_exported(rule: DestinationRule, namespace: str) -> bool:
    """Whether clients in another namespace see it: never when it has a workloadSelector."""
    return not rule.workload_selector and (EVERYONE in rule.export_to or namespace in rule.export_to)


def _is_for(rule: DestinationRule, client: str, matched: frozenset[object]) -> bool:
    if not rule.workload_selector:
        return True
    return rule.meta.namespace == client and rule.meta.ref in matched


def _closeness(pattern: str, host: str) -> tuple[bool, int]:
    return pattern == host, len(pattern)


def _merged_of(rules: Sequence[DestinationRule]) -> DestinationRule:
    ordered = sorted(rules, key=lambda rule: (not rule.workload_selector, rule.meta.age))
    first = ordered[0]
    return merge([rule for rule in ordered if _merges(first, rule)]).value


def _merges(first: DestinationRule, rule: DestinationRule) -> bool:
    return rule.export_to == first.export_to and rule.workload_selector == first.workload_selector


def merge(rules: Sequence[DestinationRule]) -> Checked[DestinationRule]:
    """Rules of one namespace for one host (at least one, oldest first) become one: all subsets, the first
    definition of a name wins; the oldest traffic policy.
    """
    first = rules[0]
    if len(rules) == 1:
        return Checked(first)
    subsets: dict[SubsetName, Subset] = {}
    policy = None
    owner = first
    findings: list[Diagnostic] = []
    for rule in rules:
        for subset in rule.subsets:
            subsets.setdefault(subset.name, subset)
        if rule.policy is None:
            continue
        if policy is None:
            policy, owner = rule.policy, rule
        else:
            findings.append(Diagnostic(codes.RULE_TAKEN, rule.policy.origin, (str(owner.meta.ref), rule.host)))
    return Checked(replace(first, policy=policy, subsets=tuple(subsets.values())), tuple(findings))


def groups(rules: Iterable[DestinationRule]) -> Iterable[Sequence[DestinationRule]]:
    """The rules that merge with each other, oldest first."""
    found: dict[tuple[str, Hostname, tuple[str, ...], Labels], list[DestinationRule]] = {}
    for rule in sorted(rules, key=lambda rule: rule.meta.age):
        key = (rule.meta.namespace, rule.host, rule.export_to, rule.workload_selector)
        found.setdefault(key, []).append(rule)
    return found.values()
