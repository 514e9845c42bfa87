"""VirtualService `http[].match[]` becomes Envoy's RouteMatch. Conditions on the client are decided elsewhere."""

from meshwright.compiler.proto import flag
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from meshwright.envoyapi.envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.model.request_match import RequestMatch
from meshwright.model.string_match import MatchType, StringMatch

ALL_PATHS = ("", "/")
ALL_REGEX = (".*", "/.*")
MATCHES_ANY_VALUE = "*"  # Istio takes this non-expression for "is there"


def route_match(match: RequestMatch | None) -> RouteMatch:
    """None takes every request. Header conditions come in the order method, authority, scheme, headers by name."""
    if match is None:
        return RouteMatch(prefix="/")
    made = _path(match.uri)
    if match.ignore_uri_case:
        made.case_sensitive.CopyFrom(flag(value=False))
    for name, condition in ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme)):
        if condition is not None:
            made.headers.append(_header(name, condition))
    made.headers.extend(_header(name, condition) for name, condition in match.headers)
    made.headers.extend(_without(name, condition) for name, condition in match.without_headers)
    made.query_parameters.extend(_query(name, condition) for name, condition in match.query_params)
    return made


def is_catch_all(match: RequestMatch | None) -> bool:
    """Whether every request that the proxy may route fulfils the match."""
    if match is None:
        return True
    others = (match.headers, match.without_headers, match.query_params)
    if any(others) or any((match.method, match.authority, match.scheme)):
        return False
    match match.uri:
        case None | StringMatch(MatchType.PRESENT):
            return True
        case StringMatch(MatchType.PREFIX, value):
            return value in ALL_PATHS
        case StringMatch(MatchType.REGEX, value):
            return value in ALL_REGEX
        case _:
            return False


def _path(uri: StringMatch | None) -> RouteMatch:
    value = "" if uri is None else uri.value
    match MatchType.PRESENT if uri is None else uri.type:
        case MatchType.EXACT:
            return RouteMatch(path=value)
        case MatchType.REGEX:
            return RouteMatch(safe_regex=RegexMatcher(regex=value))
        case MatchType.PREFIX | MatchType.PRESENT:
            return RouteMatch(prefix=value or "/")


def _header(name: str, condition: StringMatch) -> HeaderMatcher:
    if _asks_presence(condition):
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=_string(condition))


def _without(name: str, condition: StringMatch) -> HeaderMatcher:
    """An absent header is unlike any value, so it counts as empty before the answer is turned round."""
    made = _header(name, condition)
    made.invert_match = True
    made.treat_missing_header_as_empty = not _asks_presence(condition)
    return made


def _query(name: str, condition: StringMatch) -> QueryParameterMatcher:
    if _asks_presence(condition):
        return QueryParameterMatcher(name=name, present_match=True)
    return QueryParameterMatcher(name=name, string_match=_string(condition))


def _asks_presence(condition: StringMatch) -> bool:
    match condition:
        case StringMatch(MatchType.PRESENT):
            return True
        case StringMatch(MatchType.REGEX, value):
            return value in ("", MATCHES_ANY_VALUE)
        case StringMatch(_, value):
            return not value


def _string(condition: StringMatch) -> StringMatcher:
    match condition:
        case StringMatch(MatchType.PREFIX, value):
            return StringMatcher(prefix=value)
        case StringMatch(MatchType.REGEX, value):
            return StringMatcher(safe_regex=RegexMatcher(regex=value))
        case StringMatch(_, value):
            return StringMatcher(exact=value)
