"""Conditions on texts, headers and query parameters, as Envoy decides them."""

from typing import Protocol

import re2

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from meshwright.envoyapi.envoy.type.matcher.v3.string_pb2 import StringMatcher
from meshwright.evaluator.sentences import say
from meshwright.evaluator.values import Call
from meshwright.model.sentence import Sentence


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


def condition_of(matcher: StringMatcher) -> Sentence:
    """A StringMatcher in words."""
    match matcher.WhichOneof("match_pattern"):
        case "safe_regex":
            return say("matches", text=matcher.safe_regex.regex)
        case "exact":
            return say("is", text=matcher.exact)
        case "prefix":
            return say("begins", text=matcher.prefix)
        case "suffix":
            return say("ends", text=matcher.suffix)
        case _:
            return say("contains", text=matcher.contains)


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


def why_not(match: RouteMatch, call: Call) -> Sentence | None:
    """The first condition of a route that a request does not fulfil; None when it fulfils all of them."""
    path, _, query = call.path.partition("?")
    if not matches_path(match, path):
        return _path_words(match, path)
    for header in match.headers:
        if not matches_header(header, call):
            return _header_words(header, call)
    for parameter in match.query_parameters:
        if not matches_query(parameter, query):
            wanted = condition_of(parameter.string_match) if parameter.HasField("string_match") else say("is-there")
            return say("query-would", name=parameter.name, condition=wanted)
    return None


def conditions(match: RouteMatch) -> tuple[Sentence, ...]:
    """What a route asks for, in words; nothing for one that takes every request."""
    kind = match.WhichOneof("path_specifier")
    is_any = kind == "prefix" and match.prefix == "/"
    path = () if is_any else (say("path-wanted", wanted=_wanted_path(match)),)
    headers = (say("header-wanted", name=each.name) for each in match.headers)
    return (*path, *headers, *(say("query-wanted", name=each.name) for each in match.query_parameters))


def _wanted_path(match: RouteMatch) -> str:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return f"{match.prefix}*"
        case "path":
            return match.path
        case _:
            return f"~ {match.safe_regex.regex}"


def _path_words(match: RouteMatch, path: str) -> Sentence:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return say("path-begins-not", path=path, wanted=match.prefix)
        case "path":
            return say("path-is-not", path=path, wanted=match.path)
        case _:
            return say("path-matches-not", path=path, wanted=match.safe_regex.regex)


def _header_words(matcher: HeaderMatcher, call: Call) -> Sentence:
    value = header_of(call, matcher.name)
    has = say("is-absent") if value is None else say("is", text=value)
    if matcher.WhichOneof("header_match_specifier") != "string_match":
        condition = say("must-not-be-there" if matcher.invert_match else "must-be-there")
    else:
        turned = "must-not" if matcher.invert_match else "would"
        condition = say(turned, condition=condition_of(matcher.string_match))
    return say("header-fails", name=matcher.name, has=has, condition=condition)
