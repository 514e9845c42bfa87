"""The reading of field rules, kind by kind, on rules that stand in Envoy's proto files or are written here."""

import math
from typing import Any as Anything

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from meshwright.envoyapi import pool
from meshwright.envoyapi.constraints import Range, checks_of, is_required, list_checks
from meshwright.envoyapi.envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.google.protobuf.duration_pb2 import Duration
from meshwright.envoyapi.rules import Violation, field_rules, violations
from meshwright.envoyapi.validate.validate_pb2 import FieldRules

NAME = pool.find("envoy.config.cluster.v3.Cluster").fields_by_name["name"]
POLICY = pool.find("envoy.config.cluster.v3.Cluster").fields_by_name["lb_policy"]


def broken(rules: dict[str, Anything], value: Anything) -> str:
    checks = checks_of(pool.parse_json(rules, FieldRules()), POLICY if "enum" in rules else NAME)
    return next((rule for check in checks if (rule := check(value))), "").split(" ")[0]


@pytest.mark.parametrize(
    ("rule", "setting", "good", "bad"),
    [
        ("const", "a", ["a"], ["b", ""]),
        ("len", 2, ["ab", "äö"], ["a", "abc"]),
        ("min_len", 2, ["ab", "äö"], ["", "ä"]),
        ("max_len", 2, ["", "äö"], ["abc"]),
        ("len_bytes", 2, ["ab", "ä"], ["a", "äö"]),
        ("min_bytes", 2, ["ab", "ä"], ["", "a"]),
        ("max_bytes", 2, ["", "ä"], ["äa"]),
        ("pattern", "^[^/]*$", ["", "a\n"], ["/", "a/b"]),
        ("prefix", "%", ["%a"], ["a%", ""]),
        ("suffix", "%", ["a%"], ["%a", ""]),
        ("contains", "b", ["abc"], ["", "a"]),
        ("not_contains", "b", ["", "a"], ["abc"]),
        ("in", ["a", "b"], ["a", "b"], ["", "c"]),
        ("not_in", ["a", "b"], ["", "c"], ["a"]),
        ("email", True, ["a@b.example"], ["a", "@b", "a b@c"]),
        ("hostname", True, ["a.example", "a", "a.example."], ["", "a_b", "-a", "a..b", "x" * 64]),
        ("ip", True, ["1.2.3.4", "::1"], ["", "1.2.3", "a"]),
        ("ipv4", True, ["1.2.3.4"], ["::1"]),
        ("ipv6", True, ["::1"], ["1.2.3.4"]),
        ("address", True, ["1.2.3.4", "a.example"], ["", "a b"]),
        ("uri", True, ["http://a/b"], ["/b", "http://a b"]),
        ("uri_ref", True, ["http://a/b", "/b", "", "a?b"], ["a b", "1:2", "a\nb"]),
        ("uuid", True, ["12345678-1234-1234-1234-1234567890ab"], ["", "12345678"]),
        ("well_known_regex", "HTTP_HEADER_NAME", [":path", "x-a"], ["", "a b", "a:", "x\n"]),
        ("well_known_regex", "HTTP_HEADER_VALUE", ["", "a\tb", "ä"], ["a\nb", "\x7f"]),
    ],
)
def test_strings(rule: str, setting: Anything, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert broken({"string": {rule: setting}}, value) == "", value
    for value in bad:
        assert broken({"string": {rule: setting}}, value) == f"string.{rule}", value


def test_header_regexes_that_are_not_strict_forbid_only_line_ends_and_zero() -> None:
    for regex in ("HTTP_HEADER_NAME", "HTTP_HEADER_VALUE"):
        rules = {"string": {"well_known_regex": regex, "strict": False}}
        assert [broken(rules, value) != "" for value in ("", "a b", "\x01", "a\nb", "a\rb", "\0")] == [False] * 3 + [
            True
        ] * 3


def test_ignore_empty_lets_only_the_empty_value_pass() -> None:
    rules = {"string": {"min_len": 3, "ignore_empty": True}}
    assert [broken(rules, value) for value in ("", "a", "abc")] == ["", "string.min_len", ""]


def test_enums() -> None:
    assert broken({"enum": {"defined_only": True}}, 77) == "enum.defined_only"
    assert broken({"enum": {"defined_only": True}}, 0) == ""
    assert broken({"enum": {"not_in": [1]}}, 1) == "enum.not_in"
    assert broken({"enum": {"in": [1]}}, 2) == "enum.in"
    assert broken({"enum": {"const": 1}}, 2) == "enum.const"


def test_bytes() -> None:
    assert broken({"bytes": {"min_len": 2}}, "ä".encode()) == ""
    assert broken({"bytes": {"prefix": "AAE="}}, b"\0") == "bytes.prefix"
    assert broken({"bytes": {"pattern": "^a+$"}}, b"ab") == "bytes.pattern"
    assert broken({"bytes": {"ipv4": True}}, b"\1\2\3\4") == ""
    assert broken({"bytes": {"ipv4": True}}, b"\1\2\3") == "bytes.ipv4"


@pytest.mark.parametrize(
    ("rules", "nanoseconds", "rule"),
    [
        ({"gt": "0s"}, 0, "duration.gt"),
        ({"gt": "0s"}, 1, ""),
        ({"gte": "0.001s"}, 999_999, "duration.gte"),
        ({"lt": "1s"}, 10**9, "duration.lt"),
        ({"lte": "1s"}, 10**9, ""),
        ({"in": ["1s"]}, 2 * 10**9, "duration.in"),
        ({"not_in": ["1s"]}, 10**9, "duration.not_in"),
        ({"const": "1s"}, 10**9, ""),
        ({"const": "1s"}, 10**9 + 1, "duration.const"),
    ],
)
def test_durations(rules: dict[str, Anything], nanoseconds: int, rule: str) -> None:
    duration = Duration()
    duration.FromNanoseconds(nanoseconds)
    assert broken({"duration": rules}, duration) == rule


def test_any_types() -> None:
    assert broken({"any": {"in": ["x/a.B"]}}, Any(type_url="x/a.C")) == "any.in"
    assert broken({"any": {"not_in": ["x/a.B"]}}, Any(type_url="x/a.C")) == ""


@pytest.mark.parametrize("kind", ["any", "duration", "timestamp", "message"])
def test_four_ways_to_require(kind: str) -> None:
    assert is_required(pool.parse_json({kind: {"required": True}}, FieldRules()))
    assert not is_required(pool.parse_json({kind: {}}, FieldRules()))


def test_lists_and_maps() -> None:
    def first_broken(rules: dict[str, Anything], value: Anything) -> str:
        return next((r for c in list_checks(pool.parse_json(rules, FieldRules())) if (r := c(value))), "")

    assert first_broken({"repeated": {"min_items": 1}}, []) == "repeated.min_items 1"
    assert first_broken({"repeated": {"min_items": 1, "ignore_empty": True}}, []) == ""
    assert first_broken({"repeated": {"max_items": 0}}, [1]) == "repeated.max_items 0"
    assert first_broken({"repeated": {"unique": True}}, [1, 2, 1]) == "repeated.unique"
    assert first_broken({"repeated": {"unique": True}}, [Duration(), Duration()]) == "repeated.unique"
    assert first_broken({"map": {"min_pairs": 2}}, {"a": 1}) == "map.min_pairs 2"
    assert first_broken({"map": {"max_pairs": 1}}, {"a": 1, "b": 2}) == "map.max_pairs 1"


LIMIT = st.none() | st.integers(-5, 5)


@given(gt=LIMIT, gte=LIMIT, lt=LIMIT, lte=LIMIT, value=st.integers(-7, 7))
def test_ranges(gt: int | None, gte: int | None, lt: int | None, lte: int | None, value: int) -> None:
    above = (gt is None or value > gt) and (gte is None or value >= gte)
    below = (lt is None or value < lt) and (lte is None or value <= lte)
    lower, upper = gt if gt is not None else gte, lt if lt is not None else lte
    outside = lower is not None and upper is not None and upper < lower
    holds = (above or below) if outside else (above and below)
    assert (Range("int32", gt, gte, lt, lte).broken(value) is None) == holds


def test_not_a_number_breaks_no_limit_as_in_envoy() -> None:
    assert Range("double", gt=0, lt=1).broken(math.nan) is None


def test_every_rule_of_this_envoy_is_understood() -> None:
    rules = 0
    for name in pool.known_types():
        violations(pool.message_class(name)())
        rules += sum(field_rules(field) is not None for field in pool.find(name).fields)
    assert rules > 1000


def test_paths_lead_through_lists_maps_and_anys() -> None:
    inner = Cluster(name="ok")
    inner.load_assignment.cluster_name = "c"
    inner.load_assignment.endpoints.add()
    inner.load_assignment.endpoints.add().priority = 129
    outer = Cluster(name="o")
    outer.typed_extension_protocol_options["k"].Pack(inner)
    packed = Any()
    packed.Pack(outer)
    (violation,) = violations(packed)
    assert violation.path == 'typed_extension_protocol_options["k"].load_assignment.endpoints[1].priority'
    assert (violation.rule, violation.value) == ("uint32.lte 128", "129")


def test_every_violation_is_told_at_once() -> None:
    cluster = Cluster(lb_policy=99)  # pyright: ignore[reportArgumentType] - a number that the enum does not have
    cluster.connect_timeout.seconds = 0
    assert {violation.path for violation in violations(cluster)} == {"name", "lb_policy", "connect_timeout"}


def test_secrets_are_not_shown() -> None:
    certificate = TlsCertificate(private_key=DataSource(inline_string="s" * 5))
    assert violations(certificate) == ()
    certificate.private_key.Clear()
    certificate.private_key.filename = ""
    (violation,) = violations(certificate)
    assert violation == Violation("private_key.filename", "string.min_len 1", "(sensitive)")


def test_an_any_with_bytes_of_another_type() -> None:
    (violation,) = violations(Any(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster", value=b"\xff"))
    assert violation.rule == "any.decodes as envoy.config.cluster.v3.Cluster"
    (violation,) = violations(Any(value=b"a"))
    assert violation.rule == "any.type_url"
    assert violations(Any()) == ()


@given(st.binary(max_size=200), st.sampled_from([Bootstrap, Cluster, Listener]))
def test_no_message_is_too_strange(data: bytes, kind: type[Bootstrap | Cluster | Listener]) -> None:
    try:
        message = kind.FromString(data)
    except DecodeError:
        return
    assert violations(message) == violations(kind.FromString(message.SerializeToString()))
