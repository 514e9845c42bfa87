"""`analyze` on a real mesh: the same findings by the command and, a moment later, in the object's conditions."""

import json
import time
from typing import Any

from tests.live.mesh import HANG, Mesh, apply, echo_service

RULES = (
    echo_service("doubtful")
    + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: doubtful, namespace: live}
spec:
  hosts: [doubtful]
  http:
  - match: [{uri: {prefix: /api}}]
    directResponse: {status: 200}
  - match: [{uri: {exact: /api/v1}}]
    directResponse: {status: 201}
"""
)
NAMED = ("virtualservice", "doubtful", "-n", "live", "-o", "json")


def test_the_command_and_the_condition_agree(mesh: Mesh) -> None:
    apply(mesh, RULES)
    found = json.loads(mesh.run("analyze", "-n", "live", "-o", "json").stdout)
    [mine] = [each for each in found if each["object"]["name"] == "doubtful"]
    assert (mine["code"], mine["istio"], mine["effect"]) == ("MW0113", "IST0130", "noted")
    assert (mine["file"], mine["line"], mine["path"]) == ("<stdin>", 17, "spec.http[1].match[0]")
    assert json.loads(mesh.run("analyze", "-o", "json", "-S", "MW0113=* doubtful.live", "-n", "live").stdout) == [
        each for each in found if each is not mine
    ]
    end = time.monotonic() + HANG
    while (condition := passed(mesh)).get("status") != "False":
        assert time.monotonic() < end, condition
        time.sleep(0.1)
    assert "MW0113" in condition["message"]
    assert mesh.run("delete", *NAMED[:4]).returncode == 0


def passed(mesh: Mesh) -> dict[str, Any]:
    answer = json.loads(mesh.run("get", *NAMED).stdout)
    [value] = answer.get("items", [answer])
    conditions: list[dict[str, Any]] = value.get("status", {}).get("conditions", [])
    found = [each for each in conditions if each["type"] == "PassedAnalysis"]
    return found[0] if found else {}
