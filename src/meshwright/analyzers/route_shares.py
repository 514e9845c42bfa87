"""Destinations and weights of a route that probably mean something else."""

from collections.abc import Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.model import codes
from meshwright.model.destination import Destination
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.virtual_service import HttpRule, StreamRule

WHOLE = 100
SMALL = 30
"""Weights that add up to this or less are written as parts (1 and 3), not as percentages."""
Rule = HttpRule | StreamRule


def _rules(scene: Scene) -> Iterator[Rule]:
    for rule in scene.snapshot.virtual_services:
        yield from (*rule.http, *rule.tcp, *rule.tls)


def _check(_: Scene, rule: Rule) -> Iterator[Diagnostic]:
    seen: set[Destination] = set()
    for entry in rule.route:
        if entry.destination in seen:
            at = entry.origin.field("destination")
            yield Diagnostic(codes.SAME_DESTINATION, at, (_shown(entry.destination),))
        seen.add(entry.destination)
    total = sum(entry.weight for entry in rule.route)
    if total > SMALL and total % WHOLE:
        shares = ", ".join(f"{entry.weight * WHOLE / total:.3g}%" for entry in rule.route)
        yield Diagnostic(codes.WEIGHTS_NOT_100, rule.origin.field("route"), (str(total), shares))


def _shown(destination: Destination) -> str:
    port = "" if destination.port is None else f":{destination.port}"
    return f"{destination.host}{port}" + (f" subset {destination.subset}" if destination.subset else "")


ANALYZER = Analyzer((codes.SAME_DESTINATION, codes.WEIGHTS_NOT_100), _rules, _check)
