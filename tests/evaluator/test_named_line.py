"""The fields that an answer names are those that make it: without one of them the answer is another."""

import copy
import itertools
import re
from typing import Any, cast

import pytest
import yaml

from meshwright.wiring.explaining import Question, explain
from meshwright.wiring.loading import load
from meshwright.wiring.offline import OfflineMesh
from tests.evaluator.generator import NAMESPACE, Probe, case, workloads

DELETIONS = 60  # tests/slow/test_named_line.py makes 200
PART = re.compile(r'\.?([^.\[\]]+)|\[(\d+)\]|\["([^"]+)"\]')
INGRESS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata:
      labels: {istio: ingressgateway}
      annotations: {inject.istio.io/templates: gateway}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""


BASE = workloads("python3", "/programs")


def mesh_of(objects: list[dict[str, Any]]) -> OfflineMesh:
    text = yaml.dump_all(objects, Dumper=yaml.CSafeDumper)
    return OfflineMesh(load([("base", BASE), ("ingress", INGRESS), ("case", text)]))


def answer_to(mesh: OfflineMesh, probe: Probe) -> dict[str, Any]:
    caller = "outside" if probe.gateway else f"deploy/client-v1.{NAMESPACE}"
    return explain(mesh.explainable(), Question(caller, probe.url, probe.method, probe.headers))


def deciding(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The origins of what was taken or applied, written in the case itself."""
    steps = [step for step in answer["steps"] if step["verdict"] in ("matched", "applied")]
    return [step["origin"] for step in steps if step["origin"] is not None and step["origin"]["file"] == "case"]


def twin(objects: list[dict[str, Any]], origin: dict[str, Any]) -> bool:
    """Whether something beside the field that an origin names does just the same, so that it is not missed."""
    at = origin["kind"], origin["name"]
    around = cast("Any", next(each for each in objects if (each["kind"], each["metadata"]["name"]) == at))
    words = _words(origin)
    for word in words[:-1]:
        around = around[word]
    if not words or not isinstance(words[-1], int):
        return False
    does = [_effect(each) for each in cast("list[dict[str, Any]]", around)]
    return does.count(does[words[-1]]) > 1


def _effect(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule or a share of it without the conditions, and without what nothing is sent to."""
    made = {key: value for key, value in rule.items() if key not in ("match", "weight")}
    if "route" in made:
        made["route"] = [each["destination"] for each in made["route"] if each.get("weight") != 0]
    return made


def _words(origin: dict[str, Any]) -> list[Any]:
    """A path as what leads there: names of fields, and places in lists."""
    return [name or quoted or int(number) for name, number, quoted in PART.findall(origin["path"])]


def without(objects: list[dict[str, Any]], origin: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects without the field that an origin names (or the whole object, when it names no field)."""
    kept = copy.deepcopy(objects)
    at = next(
        index
        for index, each in enumerate(kept)
        if (each["kind"], each["metadata"]["name"]) == (origin["kind"], origin["name"])
    )
    words = _words(origin)
    if len(words) <= 1:
        return kept[:at] + kept[at + 1 :]
    parent = cast("Any", kept[at])
    for word in words[:-1]:
        parent = parent[word]
    if isinstance(parent, list) and len(cast("list[Any]", parent)) == 1:  # an empty list is no list of Istio's
        return kept[:at] + kept[at + 1 :]
    del parent[words[-1]]
    return kept


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without lines, which move when something before them goes."""
    steps = [{**step, "origin": None} for step in answer["steps"]]
    return {**answer, "steps": steps}


def values(answer: dict[str, Any]) -> dict[str, Any]:
    """What becomes of the request, whatever way leads there."""
    return {key: value for key, value in answer.items() if key != "steps"}


def check_deletions(wanted: int) -> None:
    """Ask, delete a field that the answer names, ask again, until `wanted` requests have met with something else. No
    deletion leaves the answer as it was, unless there is the same once more beside it.
    """
    tried, changed, unchanged = 0, 0, list[str]()
    for seed in itertools.count(100):
        made = case(seed, 6)
        mesh = mesh_of(made.objects)
        for probe in made.probes:
            answer = answer_to(mesh, probe)
            named = deciding(answer)
            if not named or changed >= wanted:
                continue
            origin = named[tried % len(named)]
            after = answer_to(mesh_of(without(made.objects, origin)), probe)
            tried += 1
            changed += values(after) != values(answer)
            if told(after) == told(answer) and not twin(made.objects, origin):
                unchanged.append(f"case {seed}, {probe.url}: {origin}")
        if changed >= wanted:
            break
    assert not unchanged, "\n".join(unchanged)
    assert changed > tried / 2


@pytest.mark.timeout(240)
def test_without_the_field_that_is_named_the_answer_is_another() -> None:
    check_deletions(DELETIONS)
