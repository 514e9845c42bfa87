"""Conditions on texts, headers and query parameters, as Envoy decides them."""

from collections.abc import Sequence
from typing import Protocol

import re2

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.evaluator.values import Call


class Regex(Protocol):
    """A compiled expression."""

    def fullmatch(self, text: str) -> object | None:
        """Something, when the whole text matches."""
        ...

    def sub(self, repl: str, text: str) -> str:
        """The text with every match replaced."""
        ...


def regex(pattern: str) -> Regex:
    """An RE2 expression: the very library that Envoy uses. Raises re2.error for what RE2 does not take."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def matches_text(matcher: StringMatcher, text: str) -> bool:
    """One StringMatcher on one text."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return regex(matcher.safe_regex.regex).fullmatch(text) is not None
    wanted = str(getattr(matcher, kind)) if kind else ""
    if matcher.ignore_case:
        wanted, text = wanted.lower(), text.lower()
    match kind:
        case "exact":
            return text == wanted
        case "prefix":
            return text.startswith(wanted)
        case "suffix":
            return text.endswith(wanted)
        case "contains":
            return wanted in text
        case _:
            return False


def condition_of(matcher: StringMatcher) -> str:
    """A StringMatcher in words."""
    match matcher.WhichOneof("match_pattern"):
        case "safe_regex":
            return f"matches {matcher.safe_regex.regex}"
        case "exact":
            return f"is {matcher.exact}"
        case "prefix":
            return f"begins with {matcher.prefix}"
        case "suffix":
            return f"ends with {matcher.suffix}"
        case _:
            return f"contains {matcher.contains}"


def header_of(call: Call, name: str) -> str | None:
    """A header's value, several joined by a comma; pseudo-headers included. None when it is absent."""
    scheme = "https" if call.encrypted else "http"
    known = {":method": call.method, ":authority": call.host, ":path": call.path, ":scheme": scheme}
    if name in known:
        return known[name]
    values = [value for key, value in call.headers if key == name.lower()]
    return ",".join(values) if values else None


def matches_header(matcher: HeaderMatcher, call: Call) -> bool:
    """One HeaderMatcher. A header that is absent fulfils no condition, not even an inverted one, unless it is to
    count as empty or its absence is what is asked for.
    """
    value = header_of(call, matcher.name)
    if matcher.WhichOneof("header_match_specifier") in ("present_match", None):
        wanted = matcher.present_match if matcher.HasField("present_match") else True
        is_there = value is not None or matcher.treat_missing_header_as_empty
        return (is_there == wanted) != matcher.invert_match
    if value is None and not matcher.treat_missing_header_as_empty:
        return False
    return matches_text(matcher.string_match, value or "") != matcher.invert_match


def matches_query(matcher: QueryParameterMatcher, query: str) -> bool:
    """One QueryParameterMatcher on the text after the question mark; the first of several values counts."""
    values = [part.partition("=")[2] for part in query.split("&") if part.partition("=")[0] == matcher.name]
    if not values:
        return False
    if matcher.WhichOneof("query_parameter_match_specifier") == "string_match":
        return matches_text(matcher.string_match, values[0])
    return True


def matches_path(match: RouteMatch, path: str) -> bool:
    """The path condition of a route, on a path without query."""
    folded = match.HasField("case_sensitive") and not match.case_sensitive.value
    match match.WhichOneof("path_specifier"):
        case "prefix":
            wanted, is_prefix = match.prefix, True
        case "path":
            wanted, is_prefix = match.path, False
        case "safe_regex":
            return regex(match.safe_regex.regex).fullmatch(path) is not None
        case _:
            return False
    if folded:
        wanted, path = wanted.lower(), path.lower()
    return path.startswith(wanted) if is_prefix else path == wanted


def why_not(match: RouteMatch, call: Call) -> str:
    """The first condition of a route that a request does not fulfil, in words; "" when it fulfils all of them."""
    path, _, query = call.path.partition("?")
    if not matches_path(match, path):
        return f"the path {path} {_path_condition(match)}"
    for header in match.headers:
        if not matches_header(header, call):
            return _header_words(header, call)
    for parameter in match.query_parameters:
        if not matches_query(parameter, query):
            wanted = condition_of(parameter.string_match) if parameter.HasField("string_match") else "is there"
            return f"the query parameter {parameter.name} would have to be one that {wanted}"
    return ""


def conditions(match: RouteMatch) -> Sequence[str]:
    """What a route asks for, in words; nothing for one that takes every request."""
    kind = match.WhichOneof("path_specifier")
    found = [] if kind == "prefix" and match.prefix == "/" else [f"path {_wanted_path(match)}"]
    found += [f"header {each.name}" for each in match.headers]
    return [*found, *(f"query parameter {each.name}" for each in match.query_parameters)]


def _wanted_path(match: RouteMatch) -> str:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return f"{match.prefix}*"
        case "path":
            return match.path
        case _:
            return f"~ {match.safe_regex.regex}"


def _path_condition(match: RouteMatch) -> str:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return f"does not begin with {match.prefix}"
        case "path":
            return f"is not {match.path}"
        case _:
            return f"does not match {match.safe_regex.regex}"


def _header_words(matcher: HeaderMatcher, call: Call) -> str:
    value = header_of(call, matcher.name)
    has = "is absent" if value is None else f"is {value}"
    if matcher.WhichOneof("header_match_specifier") != "string_match":
        return f"the header {matcher.name} {has}, and must {'not ' if matcher.invert_match else ''}be there"
    turned = "must not be one that" if matcher.invert_match else "would have to be one that"
    return f"the header {matcher.name} {has}, and {turned} {condition_of(matcher.string_match)}"
