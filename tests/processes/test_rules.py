"""Requests about pods become rules and tables: what is asked for is what is written, and nothing else can be."""

import json
from typing import Any

import pytest

from meshwright.processes import interception, network
from meshwright.processes.interception import Interception
from meshwright.processes.messages import BadRequest, Fields, PodSpec, SpawnSpec, to_fields


def decoded(**changes: Any) -> PodSpec:
    value = {"pod": "a.demo", "ip": "10.244.0.11", "interception": changes}
    return PodSpec.decode(Fields(value))


def test_specifications_survive_the_wire() -> None:
    rules = Interception(("10.0.0.0/8",), ("10.1.0.0/16",), (80,), (443,), (8080, 9090), (22,))
    spec = PodSpec("a.demo", "10.244.0.11", "a", ("demo.svc",), "10.0.0.1", rules, ("1.2.3.4 host",))
    assert PodSpec.decode(Fields(json.loads(json.dumps(to_fields(spec))))) == spec
    plain = PodSpec("a.demo", "10.244.0.11", "a.demo")
    assert PodSpec.decode(Fields(json.loads(json.dumps(to_fields(plain))))) == plain
    spawn = SpawnSpec("a.demo", "app", ("a", "b"), "proxy", "/log", {"K": "v"}, "/tmp", ("/x",), (), terminal=True)
    assert SpawnSpec.decode(Fields(json.loads(json.dumps(to_fields(spawn))))) == spawn


@pytest.mark.parametrize(
    "changes",
    [
        {"exclude_outbound_ranges": ["10.0.0.0/8; flush ruleset"]},
        {"include_outbound_ranges": ["not a range"]},
        {"exclude_outbound_ports": ["80"]},
        {"exclude_inbound_ports": [0]},
        {"include_inbound_ports": [70_000]},
        {"include_outbound_ports": [True]},
    ],
    ids=["injection", "no-range", "text-port", "zero", "too-large", "boolean"],
)
def test_bad_rules_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        decoded(**changes)


def test_ranges_are_joined_and_ipv6_left_out() -> None:
    spec = decoded(include_outbound_ranges=["10.1.0.0/16", "10.0.0.0/8", "fd00::/8"], exclude_outbound_ranges=[])
    assert spec.interception is not None
    assert spec.interception.include_outbound_ranges == ("10.0.0.0/8",)


def test_only_listed_ranges_and_ports_are_redirected() -> None:
    rules = Interception(
        include_outbound_ranges=("10.0.0.0/8",), include_outbound_ports=(9000,), include_inbound_ports=(8080,)
    )
    text = interception.ruleset(rules, "uid", "10.244.0.1")
    assert "ip daddr { 10.0.0.0/8 } meta l4proto tcp redirect to :15001" in text
    assert "tcp dport { 9000 } redirect to :15001" in text
    assert "tcp dport { 8080 } redirect to :15006" in text
    assert "    meta l4proto tcp redirect" not in text
    nothing = interception.ruleset(Interception((), include_inbound_ports=()), "mark", "")
    assert "redirect to :15001" not in nothing
    assert nothing.count("redirect to :15006") == 1, "only Envoy's way to its own pod"
    assert "meta mark 1337 accept" in nothing


@pytest.mark.parametrize("text", ["10.244.0.0/31", "nonsense", "fd00::/64"])
def test_bad_subnets(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        network.Subnet.parse(text)


def test_addresses_of_a_subnet() -> None:
    subnet = network.Subnet.parse("10.9.0.0/24")
    assert subnet.gateway == "10.9.0.1"
    assert subnet.holds("10.9.0.2")
    for address in ("10.9.0.0", "10.9.0.1", "10.9.0.255", "10.8.0.5", "x", "fd00::1"):
        assert not subnet.holds(address), address
