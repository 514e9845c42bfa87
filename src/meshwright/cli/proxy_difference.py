"""What is published for an Envoy against what that Envoy says it runs."""

import difflib
import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from meshwright.cli import envoy_dump
from meshwright.cli.envoy_dump import Shown
from meshwright.cli.redaction import redacted
from meshwright.envoyapi.pool import class_of_url, to_json_dict
from meshwright.model.names import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One resource that is not the same on both sides: `kind` is missing (Envoy lacks it), other or left over."""

    type: str
    name: str
    kind: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One type: how many resources are equal, and those that are not."""

    type: str
    equal: int
    differences: tuple[Difference, ...]


Find = Callable[[Sequence[Json]], list[Shown]]
KINDS: tuple[tuple[str, str, Find], ...] = (
    ("clusters", CLUSTER, envoy_dump.clusters),
    ("endpoints", ENDPOINTS, envoy_dump.endpoints),
    ("listeners", LISTENER, envoy_dump.listeners),
    ("routes", ROUTES, envoy_dump.routes),
    ("extensions", EXTENSION, envoy_dump.extensions),
)


def compare(facts: Json, dump: Sequence[Json]) -> list[Compared]:
    """Every type by content, secrets by version (their content is nobody's to see)."""
    found = [_by_content(kind, url, find(dump), facts) for kind, url, find in KINDS]
    found.append(_by_version("secrets", envoy_dump.secrets(dump), facts["published"].get(SECRET, {})))
    return [each for each in found if each.equal or each.differences]


def _by_content(kind: str, url: str, shown: Sequence[Shown], facts: Json) -> Compared:
    published = {
        name: to_json_dict(class_of_url(url).FromString(b64decode(text)))
        for name, text in cast("Mapping[str, str]", facts["content"].get(url, {})).items()
    }
    runs = _running(shown)
    equal, differences = 0, list[Difference]()
    for name, wanted in sorted(published.items()):
        if name not in runs:
            differences.append(Difference(kind, name, "missing"))
        elif (before := normal(url, redacted(wanted))) == (after := normal(url, runs[name].resource)):
            equal += 1
        else:
            differences.append(Difference(kind, name, "other", _lines(before, after)))
    if url != ENDPOINTS:  # Envoy lists those of clusters without EDS, too
        differences += [Difference(kind, name, "left over") for name in sorted(runs.keys() - published.keys())]
    return Compared(kind, equal, tuple(differences))


def _by_version(kind: str, shown: Sequence[Shown], published: Mapping[str, str]) -> Compared:
    """A secret that nothing refers to is not asked for: it is no difference."""
    runs = _running(shown)
    equal = sum(runs[name].version == version for name, version in published.items() if name in runs)
    differences = [
        Difference(kind, name, "other")
        for name, version in sorted(published.items())
        if name in runs and runs[name].version != version
    ]
    left = [Difference(kind, name, "left over") for name in sorted(runs.keys() - published.keys())]
    return Compared(kind, equal, (*differences, *left))


def _running(shown: Sequence[Shown]) -> dict[str, Shown]:
    """By name, the newest state of each: what is warming is what was sent last."""
    rank = {"draining": 0, "active": 1, "warming": 2}
    known = [each for each in shown if each.state in rank]
    return {each.name: each for each in sorted(known, key=lambda each: rank[each.state])}


def normal(url: str, resource: Json) -> Any:
    """What both sides write alike."""
    if url == ENDPOINTS:
        return sorted(json.dumps(each, sort_keys=True) for each in _hosts(resource))
    return {name: value for name, value in resource.items() if name != "@type"}


def _hosts(assignment: Json) -> list[Json]:
    """The hosts of a load assignment; Envoy fills in defaults, so they are filled in here for both sides. Their
    health is left out: Envoy shows its own judgement there (outlier detection).
    """
    return [
        {
            "locality": group.get("locality", {}),
            "priority": group.get("priority", 0),
            "address": host.get("endpoint", {}).get("address", {}),
            "weight": host.get("load_balancing_weight", 1),
            "metadata": host.get("metadata", {}),
        }
        for group in cast("list[Json]", assignment.get("endpoints", []))
        for host in cast("list[Json]", group.get("lb_endpoints", []))
    ]


def _lines(before: Any, after: Any) -> tuple[str, ...]:
    old, new = (json.dumps(side, indent=2, sort_keys=True).splitlines() for side in (before, after))
    return tuple(difflib.unified_diff(old, new, "published", "Envoy", lineterm=""))
