"""Services for pods without interception: endpoints by chance, refusals, and whole tables at once."""

import shutil
import subprocess
from typing import Any

import pytest

from meshwright.processes import services
from meshwright.processes.messages import BadRequest, Fields
from tests.processes.machines import Machine


def test_an_endpoint_is_chosen_by_chance_and_answers_find_back(mesh: Machine) -> None:
    found: dict[str, Any] = mesh.scenario("services")
    bridge = "10.244.0.1"
    # The server sees the bridge, whatever pod asks: also when a pod is its own endpoint.
    assert found["both"] == [f"app {port} meant  from {bridge}" for port in (8001, 8002)]
    assert found["self"] == f"app 8001 meant  from {bridge}"
    assert found["none"] == "ECONNREFUSED"
    assert found["other_port"] == "ECONNREFUSED"
    assert found["other_address"] == "ENETUNREACH"
    assert found["replaced"] == f"app 9000 meant  from {bridge}"
    assert found["gone"] == "ECONNREFUSED"
    assert found["refused"] == ["bad-request"] * 3
    assert found["still"] == found["replaced"], "what was refused has changed nothing"
    assert found["cleared"] == "ENETUNREACH"


def test_who_calls_from_a_routed_pod_is_seen(mesh: Machine) -> None:
    """Hidden are only a pod that calls itself, and pods on the bridge from each other."""
    said, bridge = mesh.scenario("routed"), "10.244.0.1"
    seen = [text.rpartition(" ")[2] for text in said["found"]]
    behind_services, directly = seen[:5], seen[5:]
    assert behind_services == [said["plain"], said["plain"], said["other"], bridge, bridge]
    assert directly == [said["plain"], bridge]


def test_an_open_connection_outlives_its_entry(mesh: Machine) -> None:
    assert mesh.scenario("open_connection") == ["ready", "again"]


def test_decoding() -> None:
    assert services.decode(Fields({})) == {}
    found = services.decode(Fields({"services": {"240.240.0.1:080": ["10.0.0.1:8080", "10.0.0.2:8081"]}}))
    assert found == {"240.240.0.1:80": ("10.0.0.1:8080", "10.0.0.2:8081")}


@pytest.mark.parametrize(
    "text", ["", "1.2.3.4", "1.2.3.4:", "1.2.3:80", "a.example:80", "[fd00::1]:80", "1.2.3.4:0", "1.2.3.4:65536",
             "1.2.3.4:8 0", "1.2.3.4:\u0661", "1.2.3.4/8:80", "1.2.3.4:99999999999999999999999"]
)  # fmt: skip
def test_nothing_else_can_be_written_into_rules(text: str) -> None:
    with pytest.raises(BadRequest):
        services.decode(Fields({"services": {text: []}}))
    with pytest.raises(BadRequest):
        services.decode(Fields({"services": {"1.2.3.4:80": [text]}}))


def test_a_thousand_services_are_looked_up_not_walked_through() -> None:
    """One rule per chain however many services there are, and nft accepts the text."""
    many = {f"240.240.{number // 250}.{number % 250}:80": ("10.244.0.2:1", "10.244.0.3:1") for number in range(1000)}
    text = services.ruleset(many)
    chain = text[text.index("chain choose") :]
    assert chain[: chain.index("}\n  }")].count("\n") == 2
    nft = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin")
    unshare = shutil.which("unshare")
    assert nft, "this test needs the program nft"
    assert unshare, "this test needs the program unshare"
    for rules in (text, text, services.ruleset({"240.240.0.1:80": ()}), services.ruleset({})):
        done = subprocess.run(
            [unshare, "-n", nft, "-f", "-"], input=rules, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
