"""Durations, regular expressions and name formats."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.kinds import formats
from meshwright.kinds.durations import exact_milliseconds, milliseconds
from meshwright.kinds.formats import Format
from meshwright.kinds.regex import problem_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5000), ("1.5s", 1500), ("1h10m", 4_200_000), ("300ms", 300), ("1m0.5s", 60_500), (".5s", 500),
        ("0", 0), ("0s", 0), ("1500us", 2), ("+1s", 1000), ("1.s", 1000), ("-1s", -1000),
    ],
)  # fmt: skip
def test_durations(text: str, expected: int) -> None:
    assert exact_milliseconds(text) is not None
    if expected >= 0:
        assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "5sec", "1d", "--1s", "1s ", "٣s", "5S", "1e3s", "9" * 80 + "s"]
)
def test_no_durations(text: str) -> None:
    assert exact_milliseconds(text) is None


@given(st.text(alphabet="0123456789.smhun+-µ ", max_size=20))
def test_any_text_as_duration(text: str) -> None:
    exact_milliseconds(text)


GOOD = [
    "", ".*", "^/api/v[0-9]+$", r"\d{3}-\w+", "(?i)abc", "a(?i)b", "(?P<x>a)", "(?<x>a)", "(?:a|b)*?", "[[:alpha:]]+",
    "[[:digit:]]", "[^[:space:]]", r"\p{Greek}", r"\pL", r"\Qa.b[\E", r"\x{FF}", r"\x41", r"\012", "^*", "{,2}",
    r"[\d-a]", "(?P<1>a)", "[]a]", "[a[b]", "a{2,3}?", r"\z", r"\bfoo\b", "(?s-i:a.b)", "(?U)a+", r"\a", "a{", "{",
    r"[\d\-]", "x{1000}",
]  # fmt: skip
BAD = [
    "(", ")", "[a", "*", "a**", "a*+", "a++", "a?+", "a{2}{3}", r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b",
    "(?>a)", "(?P<x>a)(?P=x)", "(?(1)a|b)", "(?#c)", "\\", "[b-a]", "x{1001}", "(?z)", r"\Z", "[[:letters:]]",
    r"\x{10FFFF}", r"\u0041", r"\E", r"[\b]", r"\é", "(?x)a", r"\pX", r"[a-\d]", "(?P<x", "a{3,2}",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_expressions_of_re2(text: str) -> None:
    assert problem_of(text) is None


@pytest.mark.parametrize("text", [*BAD, "a" * 1025])
def test_no_expressions_of_re2(text: str) -> None:
    assert problem_of(text)


def envoy_takes(folder: Path, expressions: list[str]) -> bool:
    """Whether the real Envoy takes a configuration with these expressions."""
    routes = [{"match": {"safe_regex": {"regex": text}}, "direct_response": {"status": 200}} for text in expressions]
    hosts = [{"name": "a", "domains": ["*"], "routes": routes}]
    prefix = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{prefix}.http.router.v3.Router"}}
    manager = {
        "@type": f"{prefix}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a",
        "http_filters": [router],
        "route_config": {"name": "a", "virtual_hosts": hosts},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chains = [{"filters": [{"name": "http", "typed_config": manager}]}]
    layer = {"name": "a", "static_layer": {"re2": {"max_program_size": {"error_level": 32768}}}}
    config = {
        "layered_runtime": {"layers": [layer]},
        "static_resources": {"listeners": [{"name": "a", "address": address, "filter_chains": chains}]},
    }
    path = folder / "envoy.json"
    path.write_text(json.dumps(config))
    envoy = Path(sys.executable).parent / "envoy"
    command = [envoy, "--mode", "validate", "-l", "error", "-c", path]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_the_real_envoy_agrees(tmp_path: Path) -> None:
    assert envoy_takes(tmp_path, [text for text in GOOD if text])
    assert [text for text in BAD if envoy_takes(tmp_path, [text])] == []


@given(st.text(alphabet=r"ab()[]{}*+?|\.^$:<>=!-,09PQEipzU#&~", max_size=30))
def test_any_text_as_expression(text: str) -> None:
    problem_of(text)


@given(st.from_regex(re.compile(r"(?:[a-z]|\.|\\d|[0-9])(?:[*+?]|\{[1-9]\})?", re.ASCII), fullmatch=True))
def test_ordinary_expressions_pass(text: str) -> None:
    assert problem_of(text) is None


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (formats.NAME, "a a.b a-1 1a", "A a_b -a a- a..b .a " + "a" * 254),
        (formats.SERVICE_NAME, "a a-1", "1a a.b A"),
        (formats.HOST, "a a.b A.B a_b.c 10.0.0.1 ::1 a.", "a..b *.a a/b http://a -a"),
        (formats.WILDCARD_HOST, "* *.a *-x.a a", "a.* *.*.a ** *."),
        (formats.SERVER_HOST, "* a */a ./a ns/*.a ~/a", "a/b/c NS/a http://a"),
        (formats.GATEWAY, "mesh a ns/a ./a", "a/b/c /a A"),
        (formats.LABEL_VALUE, "a A.b_c-1", "-a a- a/b " + "a" * 64),
        (formats.LABEL_KEY, "a a/b x.y/a_b", "/a a/ a/b/c A_/b"),
        (formats.CONTAINER_PORT_NAME, "http a1 1a", "1 A a_b " + "a" * 16),
        (formats.CIDR, "10.0.0.0/8 10.0.0.1 ::/0", "10.0.0.0/33 a/8 10/8/8"),
        (formats.ENDPOINT_ADDRESS, "10.0.0.1 a.b unix:///x unix://@x", "unix://x unix:///x/ a/b"),
        (formats.BASE64, "aGk= aG\tk=", "a a! aGk"),
        (formats.ENV_NAME, "A a.b _x", "1a a=b"),
    ],
)  # fmt: skip
def test_formats(kind: Format, right: str, wrong: str) -> None:
    assert kind.matches(kind.example)
    assert [text for text in right.split(" ") if not kind.matches(text)] == []
    assert [text for text in wrong.split(" ") if kind.matches(text)] == []
