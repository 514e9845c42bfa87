"""`explain` against real Envoys: random configurations, random requests, no difference.

Each request has a connection of its own; the access log of the Envoy that took it says which cluster it went to.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshwright.processes.client import connected
from tests.evaluator.generator import NAMESPACE, Case, Probe, case, workloads
from tests.live.mesh import Mesh, own_mesh

CASES, PROBES = 40, 50
LINE = re.compile(r"case=(\S+) remote=(\S+) cluster=(\S+)")
PROBE = Path(__file__).parents[1] / "live" / "programs" / "probe.py"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with own_mesh() as made:
        base = made.programs.parent / "base.yaml"
        base.write_text(workloads(sys.executable, str(made.programs)))
        made.up([base])
        yield made


@dataclass(frozen=True)
class Seen:
    """What really happened to one probe."""

    status: int
    local: str


async def _explain_all(mesh: Mesh, probes: list[Probe]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    async with connected(mesh.data / "run" / "mesh.sock") as client:
        for probe in probes:
            caller = "outside" if probe.gateway else f"deploy/client-v1.{NAMESPACE}"
            headers = [f"{name}: {value}" for name, value in probe.headers]
            fields = {"caller": caller, "url": probe.url, "method": probe.method, "headers": headers}
            result, _ = await client.call("explain", fields)
            answers.append(result.values)
    return answers


def _send_all(mesh: Mesh, number: int, probes: list[Probe]) -> list[Seen]:
    """From the client's pod, or from the host through the gateway."""
    seen: dict[int, Seen] = {}
    for outside in (False, True):
        chosen = [(index, probe) for index, probe in enumerate(probes) if probe.gateway == outside]
        if not chosen:
            continue
        asked = json.dumps([_asked(mesh, f"{number}-{index}", probe) for index, probe in chosen])
        if outside:
            done = subprocess.run(
                [sys.executable, str(PROBE), asked], capture_output=True, text=True, check=True, timeout=120
            )
            answers = json.loads(done.stdout)
        else:
            answers = json.loads(mesh.python(f"deploy/client-v1.{NAMESPACE}", "probe.py", asked))
        for (index, _), answer in zip(chosen, answers, strict=True):
            seen[index] = Seen(answer["status"], answer["local"])
    return [seen[index] for index in range(len(probes))]


def _asked(mesh: Mesh, name: str, probe: Probe) -> dict[str, Any]:
    return {
        "kind": probe.kind,
        "address": "127.0.0.1" if probe.gateway else probe.host,
        "port": mesh.host_port if probe.gateway else probe.port,
        "host": probe.host if probe.gateway else f"{probe.host}:{probe.port}",
        "path": probe.path,
        "method": probe.method,
        "headers": [list(pair) for pair in probe.headers],
        "case": name,
    }


def _logged(mesh: Mesh) -> dict[str, str]:
    """Case (or for connections: the caller's end) -> cluster, from the Envoys of client and gateway."""
    found: dict[str, str] = {}
    for pod in (f"{NAMESPACE}_client-v1", "istio-system_istio-ingressgateway"):
        for file in (mesh.data / "logs").glob(f"{pod}-*_istio-proxy.log"):
            for name, remote, cluster in LINE.findall(file.read_text(errors="replace")):
                found[remote if name == "-" else name] = cluster
    return found


def _differs(probe: Probe, answer: dict[str, Any], seen: Seen, cluster: str | None) -> str:
    """What explain got wrong; "" when it is right."""
    outcome, status = answer["outcome"], answer["status"]
    partial = {each["status"] for each in answer["faults"] if each["percentage"] < 100}
    if seen.status in partial:
        return ""
    if probe.kind == "tcp":
        return "" if (outcome == "forward") == (seen.status == 200) else "the outcome"
    if outcome != "forward":
        return "" if (status or 0) == seen.status else "the status"
    there = [each for each in answer["destinations"] if each["cluster"] == cluster]
    if cluster == "-":  # a destination that does not exist has no cluster that Envoy could name
        there = [each for each in answer["destinations"] if "there is no cluster" in (each["problem"] or "")]
    if not there:
        return "the cluster"
    wanted = there[0]["status"] if there[0]["problem"] else 200
    return "" if wanted == seen.status else "the status at that cluster"


def _apply(mesh: Mesh, made: Case, before: Case | None) -> None:
    folder = mesh.programs.parent
    if before is not None and before.objects:
        (folder / "before.yaml").write_text(before.text)
        mesh.run("delete", "-f", str(folder / "before.yaml"))
    if made.objects:
        (folder / "case.yaml").write_text(made.text)
        done = mesh.run("apply", "-f", str(folder / "case.yaml"), "--wait", check=False)
        assert "proxies in" in done.stdout or "no proxy is affected" in done.stdout, done.stderr


def test_explain_says_what_envoys_do(mesh: Mesh) -> None:
    before: Case | None = None
    rounds: list[tuple[Case, list[dict[str, Any]], list[Seen]]] = []
    for seed in range(CASES):
        made = case(seed, PROBES)
        _apply(mesh, made, before)
        seen = _send_all(mesh, seed, made.probes)
        rounds.append((made, asyncio.run(_explain_all(mesh, made.probes)), seen))
        before = made
    time.sleep(2)  # Envoy writes its access log once a second
    logged = _logged(mesh)
    wrong: list[str] = []
    for made, answers, all_seen in rounds:
        for index, (probe, answer, seen) in enumerate(zip(made.probes, answers, all_seen, strict=True)):
            cluster = logged.get(seen.local if probe.kind == "tcp" else f"{made.seed}-{index}")
            if what := _differs(probe, answer, seen, cluster):
                told = [each["cluster"] for each in answer["destinations"]]
                said = f"{answer['outcome']} {answer['status']} {told}"
                wrong.append(f"case {made.seed}, {probe}: {what}; said {said}, was {seen.status} {cluster}")
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:30]])
