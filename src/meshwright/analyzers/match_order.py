"""Matches of HTTP rules that an earlier match leaves nothing for.

That a rule takes all requests is the compiler's business; here one condition is held against another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.request_match import RequestMatch
from meshwright.model.string_match import MatchType, StringMatch
from meshwright.model.virtual_service import VirtualService

Conditions = tuple[tuple[str, StringMatch], ...]
ALL_PATHS = ("", "/")
ALL_REGEX = (".*", "/.*", "*")


@dataclass(frozen=True, slots=True)
class Position:
    """One match, and those that stand before it."""

    rule: VirtualService
    match: RequestMatch
    earlier: tuple[RequestMatch, ...]


def _positions(scene: Scene) -> Iterator[Position]:
    for rule in scene.snapshot.virtual_services:
        before: tuple[RequestMatch, ...] = ()
        for match in _up_to_catch_all(rule):
            yield Position(rule, match, before)
            before = (*before, match)


def _up_to_catch_all(rule: VirtualService) -> Iterator[RequestMatch]:
    """What stands behind a rule for everything is never reached for that reason, which is told already."""
    for http in rule.http:
        if not http.matches:
            return
        for match in http.matches:
            if takes_all(match):
                return
            yield match


def takes_all(match: RequestMatch) -> bool:
    """Whether there is no condition."""
    bare = replace(match, uri=None, name="", ignore_uri_case=False) == RequestMatch(match.origin)
    uri = match.uri
    if not bare or uri is None:
        return bare
    return (
        uri.type is MatchType.PRESENT
        or (uri.type is MatchType.PREFIX and uri.value in ALL_PATHS)
        or (uri.type is MatchType.REGEX and uri.value in ALL_REGEX)
    )


def _check(_: Scene, position: Position) -> Iterator[Diagnostic]:
    match = position.match
    for earlier in position.earlier:
        if takes_whatever(earlier, match, position.rule.gateways):
            same = replace(earlier, origin=match.origin, name=match.name) == match
            code = codes.REPEATED_MATCH if same else codes.SHADOWED
            yield Diagnostic(code, match.origin, (earlier.name or earlier.origin.path,))
            return


def takes_whatever(earlier: RequestMatch, later: RequestMatch, gateways: tuple[str, ...]) -> bool:
    """Whether every request that fulfils `later` fulfils `earlier`. Wrong only towards no."""
    return (
        _path_implied(earlier, later)
        and all(
            _implied(one, other)
            for one, other in (
                (earlier.scheme, later.scheme),
                (earlier.method, later.method),
                (earlier.authority, later.authority),
            )
        )
        and _all_implied(earlier.headers, later.headers)
        and _all_implied(earlier.query_params, later.query_params)
        and set(earlier.without_headers) <= set(later.without_headers)
        and earlier.port in (None, later.port)
        and earlier.source_namespace in (None, later.source_namespace)
        and later.source_labels.includes(earlier.source_labels)
        and set(later.gateways or gateways) <= set(earlier.gateways or gateways)
    )


def _path_implied(earlier: RequestMatch, later: RequestMatch) -> bool:
    if earlier.uri is None or not (earlier.ignore_uri_case or later.ignore_uri_case):
        return _implied(earlier.uri, later.uri)
    if not earlier.ignore_uri_case or later.uri is None or MatchType.REGEX in (earlier.uri.type, later.uri.type):
        return earlier.uri == later.uri and earlier.ignore_uri_case == later.ignore_uri_case
    return _implied(
        replace(earlier.uri, value=earlier.uri.value.lower()), replace(later.uri, value=later.uri.value.lower())
    )


def _all_implied(earlier: Conditions, later: Conditions) -> bool:
    given = dict(later)
    return all(_implied(condition, given.get(name)) for name, condition in earlier)


def _implied(earlier: StringMatch | None, later: StringMatch | None) -> bool:
    """Whether every string that `later` takes is one that `earlier` takes."""
    if earlier is None or earlier == later:
        return True
    if later is None or earlier.type is MatchType.PRESENT:
        return later is not None
    if earlier.type is MatchType.PREFIX and later.type in (MatchType.EXACT, MatchType.PREFIX):
        return later.value.startswith(earlier.value)
    return False


ANALYZER = Analyzer((codes.REPEATED_MATCH, codes.SHADOWED), _positions, _check)
