"""Whoever says that a match is shadowed must be right for every request."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from meshwright.analyzers.match_order import takes_all, takes_whatever
from meshwright.model.labels import Labels
from meshwright.model.names import Namespace, PortNumber
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.request_match import RequestMatch
from meshwright.model.string_match import MatchType, StringMatch

HERE = Origin(ObjectRef("VirtualService", "default", "x"), "spec.http[0].match[0]")
WORDS = ("/", "/a", "/A", "/ab", "/ab/c")
words = st.sampled_from(WORDS)
strings = st.one_of(
    st.builds(StringMatch, st.sampled_from([MatchType.EXACT, MatchType.PREFIX]), words),
    st.just(StringMatch(MatchType.PRESENT)),
)
maybe = st.none() | strings
conditions = st.lists(
    st.tuples(st.sampled_from(["x", "y"]), strings), max_size=2, unique_by=lambda pair: pair[0]
).map(lambda pairs: tuple(sorted(pairs)))
matches = st.builds(
    RequestMatch,
    origin=st.just(HERE),
    uri=maybe,
    ignore_uri_case=st.booleans(),
    method=maybe,
    headers=conditions,
    without_headers=conditions,
    port=st.none() | st.sampled_from([PortNumber(80), PortNumber(81)]),
    source_labels=st.sampled_from([Labels(), Labels.of({"app": "a"}), Labels.of({"app": "a", "v": "1"})]),
    source_namespace=st.none() | st.just(Namespace("default")),
    gateways=st.none() | st.sampled_from([("mesh",), ("a/b",), ("mesh", "a/b")]),
)
GATEWAYS = ("mesh", "a/b")


@dataclass(frozen=True)
class Request:
    path: str
    method: str
    headers: dict[str, str]
    port: int
    labels: Labels
    namespace: str
    gateway: str


requests = st.builds(
    Request,
    words,
    words,
    st.dictionaries(st.sampled_from(["x", "y"]), words),
    st.sampled_from([80, 81]),
    st.sampled_from([Labels(), Labels.of({"app": "a"}), Labels.of({"app": "a", "v": "1"})]),
    st.sampled_from(["default", "other"]),
    st.sampled_from(GATEWAYS),
)


def fits(condition: StringMatch | None, value: str | None) -> bool:
    if condition is None:
        return True
    if value is None or condition.type is MatchType.PRESENT:
        return value is not None
    return value == condition.value if condition.type is MatchType.EXACT else value.startswith(condition.value)


def takes(match: RequestMatch, request: Request) -> bool:
    uri, path = match.uri, request.path
    if uri is not None and match.ignore_uri_case:
        uri, path = replace(uri, value=uri.value.lower()), path.lower()
    return (
        fits(uri, path)
        and fits(match.method, request.method)
        and all(fits(condition, request.headers.get(name)) for name, condition in match.headers)
        and not any(fits(condition, request.headers.get(name)) for name, condition in match.without_headers)
        and match.port in (None, request.port)
        and request.labels.includes(match.source_labels)
        and match.source_namespace in (None, request.namespace)
        and request.gateway in (match.gateways or GATEWAYS)
    )


@given(matches, matches, st.lists(requests, min_size=1, max_size=12))
def test_what_is_shadowed_is_never_reached(earlier: RequestMatch, later: RequestMatch, asked: list[Request]) -> None:
    if takes_whatever(earlier, later, GATEWAYS):
        assert [each for each in asked if takes(later, each) and not takes(earlier, each)] == []


@given(matches)
def test_a_match_shadows_itself_and_a_catch_all_everything(match: RequestMatch) -> None:
    assert takes_whatever(match, match, GATEWAYS)
    assert takes_whatever(RequestMatch(HERE), match, GATEWAYS)


@given(matches, requests)
def test_a_catch_all_takes_all(match: RequestMatch, request: Request) -> None:
    if takes_all(match):
        assert takes(match, request)
