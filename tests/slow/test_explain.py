"""`explain` against real Envoys: random configurations, random requests, no difference.

Each request has a connection of its own; the access log of the Envoy that took it says which cluster it went to.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from meshwright.processes.client import connected
from tests.evaluator.generator import NAMESPACE, SLOW_MS, SLOW_PATH, Case, Probe, case, workloads
from tests.live.mesh import Mesh, own_mesh

CASES, PROBES = 40, 50
PARTS = 4  # none of which takes as long as a test may
LINE = re.compile(r"at=(\S+) case=(\S+) cluster=(\S+) upstream=(\S+) attempts=(\d+) flags=(\S+)")
MIRRORED = f"stock.{NAMESPACE}"
APPLICATION_SAYS = (200, 500)  # what no proxy answers here
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
    """What really happened to one probe: `body` is the server's, in JSON."""

    status: int
    began: float
    ended: float
    body: dict[str, Any]

    @property
    def echoed(self) -> bool:
        """Whether the server says what it got."""
        return "path" in self.body


@dataclass(frozen=True)
class Logged:
    """What the Envoy that took a probe wrote about it."""

    cluster: str = ""
    upstream: str = "-"
    attempts: int = 0
    flags: str = "-"


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
            seen[index] = Seen(answer["status"], answer["began"], answer["ended"], _object(answer["body"]))
    return [seen[index] for index in range(len(probes))]


def _object(body: str) -> dict[str, Any]:
    """What the backends answer; redirects and direct responses are other texts."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _asked(mesh: Mesh, name: str, probe: Probe) -> dict[str, Any]:
    return {
        "kind": probe.kind,
        "address": "127.0.0.1" if probe.gateway else probe.host,
        "port": _host_port(mesh, probe) if probe.gateway else probe.port,
        "host": probe.host if probe.gateway else f"{probe.host}:{probe.port}",
        "path": probe.path,
        "method": probe.method,
        "headers": [list(pair) for pair in probe.headers],
        "case": name,
    }


def _host_port(mesh: Mesh, probe: Probe) -> int:
    return mesh.host_tls_port if probe.kind == "https" else mesh.host_port


class Log:
    """The lines of the client's and the gateway's Envoy. A request is found by its case; a connection, which may have
    another port there than at the caller (the kernel's redirection gives it one), by the time when it began.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._requests: dict[str, Logged] = {}
        self._connections: dict[bool, list[tuple[float, Logged]]] = {}
        for gateway, pod in ((False, f"{NAMESPACE}_client-v1"), (True, "istio-system_istio-ingressgateway")):
            found = self._connections.setdefault(gateway, [])
            for file in (mesh.data / "logs").glob(f"{pod}-*_istio-proxy.log"):
                for began, name, *words, flags in LINE.findall(file.read_text(errors="replace")):
                    line = Logged(words[0], words[1], int(words[2]), flags)
                    if name == "-":
                        found.append((float(began), line))
                    else:
                        self._requests[name] = line

    def of(self, name: str, probe: Probe, seen: Seen) -> Logged | None:
        """The line of a probe of the case `name`."""
        if probe.kind == "http":
            return self._requests.get(name)
        lines = self._connections[probe.gateway]
        mine = [line for began, line in lines if seen.began <= began <= seen.ended]
        return mine[0] if len(mine) == 1 else None


# ------------------------------------------------------------ the comparison


def _differs(probe: Probe, answer: dict[str, Any], seen: Seen, logged: Logged) -> str:
    """What explain got wrong; "" when it is right."""
    outcome, status = answer["outcome"], answer["status"]
    partial = {each["status"] for each in answer["faults"] if each["percentage"] < 100}
    if seen.status in partial:
        return ""
    if outcome != "forward":
        return "" if (status or 0) == seen.status else "the status"
    there = [each for each in answer["destinations"] if each["cluster"] == logged.cluster]
    if logged.cluster == "-":  # a destination that does not exist has no cluster that Envoy could name
        there = [each for each in answer["destinations"] if "there is no cluster" in (each["problem"] or "")]
    if not there:
        return "the cluster"
    if there[0]["problem"]:
        return "" if (there[0]["status"] or 0) == seen.status else "the status at that cluster"
    if probe.kind != "http":
        return _endpoint(there[0], logged) or ("" if seen.status == 200 else "the outcome")
    return _answered(probe, answer, seen, logged) or _endpoint(there[0], logged) or _encryption(there[0], seen)


def _endpoint(there: dict[str, Any], logged: Logged) -> str:
    return "" if logged.upstream in there["endpoints"] else "the endpoint"


def _encryption(there: dict[str, Any], seen: Seen) -> str:
    """A server's proxy tells its application who has called over mutual TLS."""
    if not seen.echoed:
        return ""
    proved = "x-forwarded-client-cert" in seen.body["headers"]
    return "" if proved == (there["encryption"] == "mutual TLS") else "the encryption"


def _answered(probe: Probe, answer: dict[str, Any], seen: Seen, logged: Logged) -> str:
    """An application that answers: path and host as they reach it, delay, timeout, retries."""
    rewrite: dict[str, str | None] = answer["rewrite"] or {}
    path = rewrite.get("path") or probe.path.replace("/a/..", "")
    wanted, attempts = 200, 1
    if path == "/status/500":
        wanted, attempts = 500, 1 + (answer["retries"] if _retries_on(answer, "5xx") else 0)
    if path == SLOW_PATH and (answer["timeout_ms"] or SLOW_MS) < SLOW_MS:
        wanted = 504
    host = rewrite.get("host") or (probe.host if probe.gateway else f"{probe.host}:{probe.port}")
    claims = {
        "the status": seen.status == wanted,
        "the retries": logged.attempts == attempts,
        "the delay": _delayed(answer) in (None, "DI" in logged.flags.split(",")),
        "the path": not seen.echoed or seen.body["path"] == path,
        "the host": not seen.echoed or seen.body["headers"]["host"] == host,
    }
    return ", ".join(claim for claim, holds in claims.items() if not holds)


def _retries_on(answer: dict[str, Any], condition: str) -> bool:
    return any(condition in step["why"] for step in answer["steps"] if step["stage"] == "retries")


def _delayed(answer: dict[str, Any]) -> bool | None:
    """Whether the request must wait; None: by chance."""
    shares = [each["percentage"] for each in answer["faults"] if each["type"] == "delay"]
    return None if any(share < 100 for share in shares) else bool(shares)


def _copies_differ(made: Case, answer: dict[str, Any], status: int, logged: Logged, came: int) -> str:
    """Copies of requests to others come to `stock`, where no mode of TLS is in their way, and nothing else does.
    `came`: how many requests of this case did.
    """
    if MIRRORED in logged.cluster:
        return ""
    if not answer["mirrors"]:
        return "" if came == 0 else "a copy that is not named"
    certain = all(each["percentage"] == 100 for each in answer["mirrors"]) and status in APPLICATION_SAYS
    return "" if came or not certain or _has_modes(made) else "a copy that did not come"


def _has_modes(made: Case) -> bool:
    return any(each["kind"] == "PeerAuthentication" or "trafficPolicy" in each["spec"] for each in made.objects)


def _apply(mesh: Mesh, made: Case, before: Case | None) -> None:
    folder = mesh.programs.parent
    if before is not None and before.objects:
        (folder / "before.yaml").write_text(before.text)
        mesh.run("delete", "-f", str(folder / "before.yaml"))
    if made.objects:
        (folder / "case.yaml").write_text(made.text)
        done = mesh.run("apply", "-f", str(folder / "case.yaml"), "--wait", check=False)
        assert "proxies in" in done.stdout or "no proxy is affected" in done.stdout, done.stderr


@pytest.mark.parametrize("part", range(PARTS))
def test_explain_says_what_envoys_do(mesh: Mesh, part: int) -> None:
    before: Case | None = None
    rounds: list[tuple[Case, list[dict[str, Any]], list[Seen]]] = []
    for seed in range(part * CASES // PARTS, (part + 1) * CASES // PARTS):
        made = case(seed, PROBES)
        _apply(mesh, made, before)
        seen = _send_all(mesh, seed, made.probes)
        rounds.append((made, asyncio.run(_explain_all(mesh, made.probes)), seen))
        mesh.eventually(partial(_all_logged, mesh, made, seen), "all that was answered is logged")
        before = made
    _apply(mesh, Case(-1), before)
    log, copies = Log(mesh), _counts(mesh)
    wrong: list[str] = []
    for made, answers, all_seen in rounds:
        for index, (probe, answer, seen) in enumerate(zip(made.probes, answers, all_seen, strict=True)):
            name = f"{made.seed}-{index}"
            line = log.of(name, probe, seen) or Logged()
            what = _differs(probe, answer, seen, line)
            what = what or _copies_differ(made, answer, seen.status, line, copies[name])
            if what:
                told = [each["cluster"] for each in answer["destinations"]]
                said = f"{answer['outcome']} {answer['status']} {told}"
                wrong.append(f"case {made.seed}, {probe}: {what}; said {said}, was {seen.status} {line} {seen.body}")
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:30]])


def _all_logged(mesh: Mesh, made: Case, seen: list[Seen]) -> bool:
    """Envoy writes its access log once a second."""
    log = Log(mesh)
    probes = zip(made.probes, seen, strict=True)
    return all(log.of(f"{made.seed}-{n}", probe, each) for n, (probe, each) in enumerate(probes) if each.status)


def _counts(mesh: Mesh) -> Counter[str]:
    """How many requests of each case have come to `stock`, asked inside its pods, past every proxy."""
    found: Counter[str] = Counter()
    for version in ("v1", "v2"):
        found.update(mesh.one("http://127.0.0.1:8000/counts", f"deploy/stock-{version}.{NAMESPACE}").json)
    return found
