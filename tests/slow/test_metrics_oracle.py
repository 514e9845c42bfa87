"""Known traffic is the oracle: /metrics agrees with its counts exactly, label by label, on both sides."""

import asyncio
import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from meshwright.telemetry.history import FLUSH_SECONDS
from meshwright.telemetry.sampling import RECORDS, SIZES, WHOLE
from meshwright.telemetry.scraping import scrape
from tests.live.mesh import Mesh, new_mesh
from tests.slow.bookinfo import pids
from tests.slow.load.world import Api
from tests.slow.oracle.cases import Case, grpc_case, http_case, stream_case, tcp_case
from tests.slow.oracle.metrics import Series, added, told

pytestmark = pytest.mark.timeout(300)
HERE = Path(__file__).parent / "oracle"
OUTSIDE = "10.244.250.10"
UNKNOWN = "unknown"
SETTLED_SECONDS = 40
HISTOGRAMS_SECONDS = 18  # longer than a look at histograms and the time in which Envoy sums them up
GATEWAY_POD = "istio-ingressgateway"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    made = new_mesh()
    try:
        shutil.copytree(
            HERE / "programs", made.programs, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        made.up([configuration(made)])
        yield made
    finally:
        made.run("down", "--purge", check=False)
        shutil.rmtree(made.programs.parent, ignore_errors=True)


def configuration(mesh: Mesh, mode: str = "ALLOW_ANY") -> Path:
    text = (HERE / "mesh.yaml").read_text().replace("mode: ALLOW_ANY", f"mode: {mode}")
    for key, value in {"python": sys.executable, "programs": str(mesh.programs)}.items():
        text = text.replace(f"{{{key}}}", value)
    file = mesh.programs.parent / "oracle.yaml"
    file.write_text(text)
    return file


# ------------------------------------------------------------ what is asked


def generate(mesh: Mesh, pod: str, cases: list[Case]) -> dict[str, Counter[str]]:
    """The generator's own counts: by case, by answer."""
    spec = json.dumps([case.spec() for case in cases])
    return {name: Counter(seen) for name, seen in json.loads(mesh.python(pod, "generator.py", spec)).items()}


# ------------------------------------------------------------ what must be counted


def workload(name: str, app: str = "", version: str = "v1", *, namespace: str = "oracle") -> dict[str, str]:
    """The labels of one end, without the side's name."""
    return {
        "workload": name,
        "workload_namespace": namespace,
        "app": app or name,
        "version": version,
        "canonical_service": app or name,
        "canonical_revision": version,
        "cluster": "Kubernetes",
    }


NOBODY = {
    "workload": UNKNOWN,
    "workload_namespace": UNKNOWN,
    "app": UNKNOWN,
    "version": UNKNOWN,
    "canonical_service": UNKNOWN,
    "canonical_revision": "latest",
    "cluster": UNKNOWN,
}
CALLER, PLAIN, LEGACY, OTHERS = (workload(name) for name in ("caller", "plain", "legacy", "others"))
GATEWAY = {**workload(GATEWAY_POD, namespace="istio-system", version=UNKNOWN), "canonical_revision": "latest"}
CALLER_ID, ECHO_ID, OTHERS_ID = (
    f"spiffe://cluster.local/ns/oracle/sa/{name}" for name in ("caller", "echo", "others")
)
GATEWAY_ID = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"


def echo(version: str) -> dict[str, str]:
    return workload(f"echo-{version}", "echo", version)


def service(name: str) -> dict[str, str]:
    return {
        "destination_service": f"{name}.oracle.svc.cluster.local",
        "destination_service_name": name,
        "destination_service_namespace": "oracle",
    }


def elsewhere(host: str, name: str = "", namespace: str = UNKNOWN) -> dict[str, str]:
    return {
        "destination_service": host,
        "destination_service_name": name or host,
        "destination_service_namespace": namespace,
    }


def labels(
    reporter: str,
    ends: tuple[Mapping[str, str], Mapping[str, str]],
    principals: tuple[str, str],
    called: Mapping[str, str],
    **more: str,
) -> dict[str, str]:
    """All labels of a series."""
    made = {f"source_{key}": value for key, value in ends[0].items()}
    made |= {f"destination_{key}": value for key, value in ends[1].items()}
    secure = "mutual_tls" if all(principals) else "none"
    return {
        **made,
        **called,
        "reporter": reporter,
        "source_principal": principals[0] or UNKNOWN,
        "destination_principal": principals[1] or UNKNOWN,
        "connection_security_policy": UNKNOWN if reporter == "source" else secure,
        "response_flags": "-",
        "request_protocol": "http",
        **more,
    }


class Expected:
    """Series and their counts."""

    def __init__(self) -> None:
        self.counts: Counter[Series] = Counter()

    def add(self, count: int, metric: str, made: Mapping[str, str]) -> None:
        if count:
            self.counts[metric, frozenset(made.items())] += count

    def request(self, count: int, made: Mapping[str, str], code: str, flags: str = "-", grpc: str = "") -> None:
        protocol = "grpc" if grpc else "http"
        more = {"response_code": code, "response_flags": flags, "grpc_response_status": grpc}
        self.add(count, "istio_requests_total", {**made, **more, "request_protocol": protocol})

    def both(
        self,
        count: int,
        ends: tuple[Mapping[str, str], Mapping[str, str]],
        principals: tuple[str, str],
        called: tuple[Mapping[str, str], Mapping[str, str]],
        code: str,
        grpc: str = "",
    ) -> None:
        """A request that passed two proxies. `called`: as each of them names it."""
        for reporter, name in zip(("source", "destination"), called, strict=True):
            self.request(count, labels(reporter, ends, principals, name), code, grpc=grpc)


def agree(mesh: Mesh, before: Mapping[Series, float], metric: str, expected: Counter[Series]) -> None:
    """Waits until as much is counted as is expected, and a little longer; then every series must agree."""
    end = time.monotonic() + SETTLED_SECONDS
    wanted = Counter({series: count for series, count in expected.items() if series[0] == metric})
    found = added(before, told(mesh.data), metric)
    while found != wanted and time.monotonic() < end:
        time.sleep(0.5)
        found = added(before, told(mesh.data), metric)
    missing, extra = wanted - found, found - wanted
    assert found == wanted, f"{metric}\n{differences(missing, extra)}"


def differences(missing: Counter[Series], extra: Counter[Series]) -> str:
    lines = [f"missing {count}: {dict(sorted(series[1]))}" for series, count in missing.items()]
    lines += [f"extra {count}: {dict(sorted(series[1]))}" for series, count in extra.items()]
    return "\n".join(lines)


# ------------------------------------------------------------ the claims

IN_MESH = [
    http_case("ok", "http://echo:8000/", 30),
    http_case("404", "http://echo:8000/status/404", 7),
    http_case("503", "http://echo:8000/status/503", 5),
    http_case("abort 418", "http://routed:8000/abort/418", 4),
    http_case("abort 503", "http://routed:8000/abort/503", 6),
    http_case("late", "http://routed:8000/sleep/800", 3, headers={"x-test-id": "late"}),
    http_case("direct", "http://routed:8000/direct", 8),
    http_case("moved", "http://routed:8000/moved", 2),
    http_case("no route", "http://routed:8000/none", 9),
    http_case("no endpoint", "http://nobody:8000/", 3),
    http_case("legacy", "http://legacy:8000/", 11),
    http_case("entry", "http://outside.example.com/", 12),
    http_case("unknown host", f"http://{OUTSIDE}:8000/", 13),
    http_case("forged", "http://echo:8000/", 5, headers={"x-forwarded-for": OUTSIDE}),
    Case("left", "leave", "http://legacy:8000/sleep/1500", 2, {}),
    grpc_case("grpc ok", "others:9000", 15, 0),
    grpc_case("grpc not found", "others:9000", 6, 5),
    grpc_case("grpc unavailable", "others:9000", 4, 14),
    grpc_case("grpc nobody", "nobody:9000", 3, 0),
]
ROUTED, ECHO = service("routed"), service("echo")


def test_requests_of_a_pod_in_the_mesh(mesh: Mesh) -> None:
    time.sleep(HISTOGRAMS_SECONDS)  # what other tests asked is in the histograms, too
    before = told(mesh.data)
    seen = generate(mesh, "deploy/caller.oracle", IN_MESH)
    assert {case.name: seen[case.name].total() for case in IN_MESH} == {case.name: case.count for case in IN_MESH}
    expected = Expected()
    answered(expected, seen, CALLER, CALLER_ID)
    alone(expected, CALLER)
    calls(expected, CALLER, CALLER_ID)
    late(mesh, expected)
    agree(mesh, before, "istio_requests_total", expected.counts)
    durations = Counter(
        {("istio_request_duration_milliseconds_count", series): n for (_, series), n in expected.counts.items()}
    )
    agree(mesh, before, "istio_request_duration_milliseconds_count", durations)


def answered(expected: Expected, seen: Mapping[str, Counter[str]], caller: Mapping[str, str], name: str) -> None:
    """Requests that the versions of echo have answered."""
    for case in ("ok", "404", "503", "forged"):
        for answer, count in seen.get(case, Counter()).items():
            code, _, version = answer.partition(" ")
            ends, principals = (caller, echo(version)), (name, ECHO_ID if name else "")
            if name:
                expected.both(count, ends, principals, (ECHO, ECHO), code)
            else:
                expected.request(count, labels("destination", ends, principals, ECHO), code)


def alone(expected: Expected, caller: Mapping[str, str]) -> None:
    """Requests that only the caller's proxy sees."""

    def lost(count: int, end: Mapping[str, str], called: Mapping[str, str], code: str, flags: str) -> None:
        expected.request(count, labels("source", (caller, end), ("", ""), called), code, flags)

    lost(4, NOBODY, ROUTED, "418", "FI")
    lost(6, NOBODY, ROUTED, "503", "FI")
    lost(8, NOBODY, elsewhere("routed:8000"), "410", "-")
    lost(2, NOBODY, elsewhere("routed:8000"), "302", "-")
    lost(9, NOBODY, elsewhere("routed:8000"), "404", "NR")
    lost(3, NOBODY, service("nobody"), "503", "UH")
    lost(11, LEGACY, service("legacy"), "200", "-")
    lost(2, LEGACY, service("legacy"), "0", "DC")
    outside = {**workload("outside", version=UNKNOWN, namespace="outside"), "canonical_revision": "latest"}
    lost(12, outside, elsewhere("outside.example.com", "outside", "oracle"), "200", "-")
    lost(13, NOBODY, elsewhere(f"{OUTSIDE}:8000", "PassthroughCluster"), "200", "-")


def late(mesh: Mesh, expected: Expected) -> None:
    """Time-outs: 504 at the caller, and a client that has left at the server. Which version was asked, only the
    servers know: their own counts say it.
    """
    asked = {version: slept(mesh, version) for version in ("v1", "v2")}
    assert sum(asked.values()) == 3
    for version, count in asked.items():
        ends, principals = (CALLER, echo(version)), (CALLER_ID, ECHO_ID)
        expected.request(count, labels("source", ends, principals, ROUTED), "504", "UT")
        expected.request(count, labels("destination", ends, principals, ECHO), "0", "DC")


def slept(mesh: Mesh, version: str) -> int:
    """How many late requests this server has seen, asked inside its pod, past every proxy."""
    counts = mesh.one("http://127.0.0.1:8000/counts", f"deploy/echo-{version}.oracle").json
    return counts.get("late", 0)


TRIES = 3  # Istio tries a call that is answered with `unavailable` twice more


def calls(expected: Expected, caller: Mapping[str, str], name: str) -> None:
    """Calls of gRPC. A caller without a proxy (no `name`) has nobody who tries again."""
    ends, principals, called = (caller, OTHERS), (name, OTHERS_ID if name else ""), service("others")
    source, destination = (labels(reporter, ends, principals, called) for reporter in ("source", "destination"))
    for count, status, flags in ((15, "0", "-"), (6, "5", "-"), (4, "14", "URX")):
        tries = TRIES if flags == "URX" and name else 1
        expected.request(count * tries, destination, "200", grpc=status)
        if name:
            expected.request(count, source, "200", flags, status)
    if name:
        expected.request(3, labels("source", (caller, NOBODY), ("", ""), service("nobody")), "200", "UH", "14")


MESSAGES = "istio_request_messages_total", "istio_response_messages_total"
STREAMS = [  # calls, messages of each, answers to each of these
    stream_case("a few messages", 3, 2, 3),
    stream_case("one digit and two", 2, 9, 2),
    stream_case("many messages", 2, 25, 40),
    stream_case("no message", 2, 0, 1),
]


def without_the_end(made: Mapping[str, str]) -> dict[str, str]:
    """Messages are counted by who talks to whom, in Istio too, and not by how a call ended."""
    ends = {"response_flags", "request_protocol", "connection_security_policy"}
    return {name: value for name, value in made.items() if name not in ends}


def test_messages_of_grpc(mesh: Mesh) -> None:
    before, expected = told(mesh.data), Expected()
    unary = [case for case in IN_MESH if case.kind == "grpc"] + [http_case("ok", "http://echo:8000/", 5)]
    for pod, caller, name in (("caller", CALLER, CALLER_ID), ("plain", PLAIN, "")):
        chosen = [case for case in unary if name or case.name != "grpc nobody"]
        seen = generate(mesh, f"deploy/{pod}.oracle", [*chosen, *STREAMS])
        assert seen["many messages"] == {"0 1000": 2}
        ends, principals = (caller, OTHERS), (name, OTHERS_ID if name else "")
        for reporter in ("source", "destination") if name else ("destination",):
            made = without_the_end(labels(reporter, ends, principals, service("others")))
            tries = TRIES if name and reporter == "destination" else 1
            sent = 15 + 6 + 4 * tries + 3 * 2 + 2 * 9 + 2 * 25
            came = 15 + 3 * 2 * 3 + 2 * 9 * 2 + 2 * 25 * 40
            for metric, count in zip(MESSAGES, (sent, came), strict=True):
                expected.add(count, metric, made)
    for metric in MESSAGES:
        agree(mesh, before, metric, expected.counts)
    time.sleep(HISTOGRAMS_SECONDS)  # so that its requests, too, are counted before another test begins


PLAINLY = {"ok", "404", "503", "grpc ok", "grpc not found", "grpc unavailable"}


def test_a_caller_without_a_proxy(mesh: Mesh) -> None:
    """Servers see its address, also when they are called by their service's."""
    before, expected = told(mesh.data), Expected()
    seen = generate(mesh, "deploy/plain.oracle", [case for case in IN_MESH if case.name in PLAINLY])
    answered(expected, seen, PLAIN, "")
    calls(expected, PLAIN, "")
    target = address_of(mesh, "echo-v2")
    seen = generate(mesh, "deploy/plain.oracle", [http_case("ok", f"http://{target}:8000/", 14)])
    assert seen["ok"] == {"200 v2": 14}
    answered(expected, seen, PLAIN, "")
    agree(mesh, before, "istio_requests_total", expected.counts)


def address_of(mesh: Mesh, deployment: str) -> str:
    with contextlib.closing(Api(mesh)) as api:
        pods = api.get("/api/v1/namespaces/oracle/pods")["items"]
    [address] = [pod["status"]["podIP"] for pod in pods if pod["metadata"]["name"].startswith(f"{deployment}-")]
    return address


def through_the_gateway(mesh: Mesh, path: str, count: int, host: str = "echo.example.com") -> Counter[str]:
    """Answers of so many requests from the host; "STATUS VERSION"."""
    seen: Counter[str] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", mesh.host_port, timeout=20)
    for _ in range(count):
        connection.request("GET", path, headers={"host": host})
        answer = connection.getresponse()
        body = answer.read().decode()
        version = json.loads(body)["version"] if body.startswith("{") else ""
        seen[f"{answer.status} {version}".strip()] += 1
    connection.close()
    return seen


SLOW, SLOW_MS, APPROXIMATE = 6, 300, 0.06  # Envoy keeps durations in buckets of 5 % or less


def test_durations_lie_between_what_the_server_waited_and_the_caller_measured(mesh: Mesh) -> None:
    time.sleep(HISTOGRAMS_SECONDS)
    before = told(mesh.data)
    asked = mesh.ask(f"http://echo:8000/sleep/{SLOW_MS}", "deploy/caller.oracle", count=SLOW)
    assert [each.status for each in asked] == [200] * SLOW
    measured = 1000 * sum(each.seconds for each in asked)

    def grown(reporter: str, ending: str, **more: str) -> float:
        name = f"istio_request_duration_milliseconds_{ending}"
        wanted = {"reporter": reporter, "source_workload": "caller", "destination_canonical_service": "echo", **more}
        after = told(mesh.data)
        mine = [each for each in after if each[0] == name and wanted.items() <= dict(each[1]).items()]
        return sum(after[each] - before.get(each, 0.0) for each in mine)

    for reporter in ("source", "destination"):
        mesh.eventually(
            lambda of=reporter: grown(of, "bucket", le="+Inf") == SLOW, "all are counted", SETTLED_SECONDS
        )
        assert grown(reporter, "bucket", le="250") == 0
        assert grown(reporter, "bucket", le="300000") == SLOW
        assert (1 - APPROXIMATE) * SLOW * SLOW_MS <= grown(reporter, "sum") <= (1 + APPROXIMATE) * measured


def test_requests_through_the_gateway(mesh: Mesh) -> None:
    before, expected = told(mesh.data), Expected()
    seen = through_the_gateway(mesh, "/status/200", 20) + through_the_gateway(mesh, "/status/404", 6)
    for answer, count in seen.items():
        code, _, version = answer.partition(" ")
        expected.both(count, (GATEWAY, echo(version)), (GATEWAY_ID, ECHO_ID), (ECHO, ECHO), code)
    assert through_the_gateway(mesh, "/none", 4) == {"404": 4}
    assert through_the_gateway(mesh, "/", 3, "nobody-knows.example.com") == {"404": 3}
    expected.request(7, labels("source", (GATEWAY, NOBODY), ("", ""), elsewhere(UNKNOWN)), "404", "NR")
    agree(mesh, before, "istio_requests_total", expected.counts)


CONNECTIONS = "istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total"
TO_CLIENT, FROM_CLIENT = "istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"


def test_connections_and_their_bytes(mesh: Mesh) -> None:
    before, expected = told(mesh.data), Expected()
    cases = [tcp_case("few", 5, 1000), tcp_case("many", 20, 17), tcp_case("big", 1, 300_000)]
    size = sum(case.count * case.more["bytes"] for case in cases)
    for pod, caller, name in (("caller", CALLER, CALLER_ID), ("plain", PLAIN, "")):
        seen = generate(mesh, f"deploy/{pod}.oracle", cases)
        assert seen == {
            case.name: Counter({f"{case.more['bytes']} {2 * case.more['bytes']}": case.count}) for case in cases
        }
        principals = (name, OTHERS_ID if name else "")
        for reporter in ("source", "destination") if name else ("destination",):
            made = labels(reporter, (caller, OTHERS), principals, service("others"), request_protocol="tcp")
            for metric in CONNECTIONS:
                expected.add(26, metric, made)
            expected.add(2 * size, TO_CLIENT, made)
            expected.add(size, FROM_CLIENT, made)
    for metric in (*CONNECTIONS, TO_CLIENT, FROM_CLIENT):
        agree(mesh, before, metric, expected.counts)


def test_bytes_of_a_connection_that_is_open(mesh: Mesh) -> None:
    """They are counted while it lives, a killed worker included, and not again at its end."""
    before = told(mesh.data)
    case = tcp_case("open", 1, 3000, parts=3, seconds=15)
    made = [
        labels(reporter, (CALLER, OTHERS), (CALLER_ID, OTHERS_ID), service("others"), request_protocol="tcp")
        for reporter in ("source", "destination")
    ]
    with ThreadPoolExecutor(1) as threads:
        talking = threads.submit(generate, mesh, "deploy/caller.oracle", [case])
        agree(mesh, before, FROM_CLIENT, counted_as(FROM_CLIENT, made, 1000))
        agree(mesh, before, CONNECTIONS[0], counted_as(CONNECTIONS[0], made, 1))
        os.kill(pids(mesh)["telemetry"], signal.SIGKILL)
        mesh.eventually(lambda: bool(told_or_nothing(mesh)), "a new worker tells")
        agree(mesh, before, FROM_CLIENT, counted_as(FROM_CLIENT, made, 2000))
        assert not talking.done()
        assert not added(before, told(mesh.data), CONNECTIONS[1])
        assert talking.result() == {"open": {"3000 6000": 1}}
    agree(mesh, before, CONNECTIONS[1], counted_as(CONNECTIONS[1], made, 1))
    for metric, size in ((FROM_CLIENT, 3000), (TO_CLIENT, 6000)):
        agree(mesh, before, metric, counted_as(metric, made, size))
    assert not added(before, told(mesh.data), CONNECTIONS[0]) - counted_as(CONNECTIONS[0], made, 1)


def counted_as(metric: str, made: Iterable[Mapping[str, str]], amount: int) -> Counter[Series]:
    """So much in each of these series."""
    expected = Expected()
    for one in made:
        expected.add(amount, metric, one)
    return expected.counts


@pytest.fixture
def closed(mesh: Mesh) -> Iterator[Mesh]:
    """With REGISTRY_ONLY, for the length of a test; what was asked meanwhile to see that it has come is counted."""
    for mode, answer in (("REGISTRY_ONLY", "502"), ("ALLOW_ANY", "200 v1")):
        mesh.run("apply", "-f", str(configuration(mesh, mode)))
        mesh.eventually(functools.partial(unknown_host_gets, mesh, answer), f"{mode} is live")
        time.sleep(HISTOGRAMS_SECONDS)
        if mode == "REGISTRY_ONLY":
            yield mesh


def unknown_host_gets(mesh: Mesh, answer: str) -> bool:
    probe = [http_case("probe", f"http://{OUTSIDE}:8000/", 1)]
    return answer in generate(mesh, "deploy/caller.oracle", probe)["probe"]


def test_what_the_registry_does_not_know_is_refused_and_counted(closed: Mesh) -> None:
    mesh = closed
    refusing = [
        http_case("refused", f"http://{OUTSIDE}:8000/", 6),
        http_case("entry", "http://outside.example.com/", 2),
    ]
    before, expected = told(mesh.data), Expected()
    assert generate(mesh, "deploy/caller.oracle", refusing)["refused"] == {"502": 6}
    blocked = elsewhere(f"{OUTSIDE}:8000", "BlackHoleCluster")
    expected.request(6, labels("source", (CALLER, NOBODY), ("", ""), blocked), "502")
    outside = {**workload("outside", version=UNKNOWN, namespace="outside"), "canonical_revision": "latest"}
    entry = elsewhere("outside.example.com", "outside", "oracle")
    expected.request(2, labels("source", (CALLER, outside), ("", ""), entry), "200")
    agree(mesh, before, "istio_requests_total", expected.counts)


def test_a_killed_worker_loses_no_count_of_those_that_live(mesh: Mesh) -> None:
    before = told(mesh.data)
    generate(mesh, "deploy/caller.oracle", [http_case("some", "http://legacy:8000/", 5)])
    expected = Expected()
    expected.request(5, labels("source", (CALLER, LEGACY), ("", ""), service("legacy")), "200")
    agree(mesh, before, "istio_requests_total", expected.counts)
    counted, worker = requests_in(told(mesh.data)), pids(mesh)["telemetry"]
    os.kill(worker, signal.SIGKILL)
    mesh.eventually(lambda: requests_in(told_or_nothing(mesh)) == counted, "a new worker says the same")
    assert pids(mesh)["telemetry"] != worker


def test_a_new_worker_tells_a_quiet_proxy_to_take_every_request(mesh: Mesh) -> None:
    """What the worker before told it in a busy time is not what it goes on with."""
    [admin] = mesh.data.glob("pods/caller-*/admin.sock")
    shares = {RECORDS: 100, SIZES: 200}
    words = "&".join(f"{key}={share}" for key, share in shares.items())
    asyncio.run(scrape(admin, f"/runtime_modify?{words}", "POST"))
    assert taken(admin) == shares
    os.kill(pids(mesh)["telemetry"], signal.SIGKILL)
    mesh.eventually(lambda: taken(admin) == {RECORDS: WHOLE, SIZES: WHOLE}, "it takes every request")


def taken(admin: Path) -> dict[str, int]:
    """The shares that are in force in an Envoy."""
    entries = json.loads(asyncio.run(scrape(admin, "/runtime")))["entries"]
    return {key: int(entries[key]["final_value"]) for key in (RECORDS, SIZES)}


def test_a_killed_worker_keeps_requests_and_minutes_of_before_its_last_flush(mesh: Mesh) -> None:
    """What the page shows of earlier times: nothing older than a flush is lost, and nothing is there twice."""
    name = str(uuid4())
    assert mesh.one("http://legacy:8000/", "deploy/caller.oracle", headers={"x-request-id": name}).status == 200
    mesh.eventually(lambda: len(kept(mesh, name)) == 1, "the request is kept")
    time.sleep(2 * FLUSH_SECONDS)
    counted = of_the_last_hour(mesh)
    assert sum(counted.values()) > 0
    worker = pids(mesh)["telemetry"]
    os.kill(worker, signal.SIGKILL)
    mesh.eventually(lambda: bool(told_or_nothing(mesh)) and pids(mesh)["telemetry"] != worker, "a new worker tells")
    assert [each["id"] for each in kept(mesh, name)] == [name]
    assert of_the_last_hour(mesh) == counted


def kept(mesh: Mesh, name: str) -> list[dict[str, Any]]:
    return json.loads(mesh.run("requests", "--id", name, "-o", "json").stdout)


def of_the_last_hour(mesh: Mesh) -> dict[str, int]:
    """Requests by line of the graph, from the history on disk."""
    request = urllib.request.Request(f"{mesh.status()['console']}/api/v1/graph?window=3600")
    request.add_header("authorization", f"Bearer {(mesh.data / 'console-token').read_text().strip()}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return {each["id"]: each["count"] for each in json.loads(answer.read())["edges"]}


def test_what_ended_pods_counted_outlives_a_killed_worker(mesh: Mesh) -> None:
    generate(mesh, "deploy/caller.oracle", [http_case("some", "http://echo:8000/", 10)])
    time.sleep(2 * FLUSH_SECONDS)
    counted = requests_in(told(mesh.data))
    with contextlib.closing(Api(mesh)) as api:
        path = "/api/v1/namespaces/oracle/pods"
        gone = {pod["metadata"]["name"] for pod in api.get(path)["items"]}
        for name in gone:
            api.delete(f"{path}/{name}")
        mesh.eventually(
            lambda: not gone & {pod["metadata"]["name"] for pod in api.get(path)["items"]}, "the pods are gone", 60
        )
    os.kill(pids(mesh)["telemetry"], signal.SIGKILL)
    mesh.eventually(lambda: requests_in(told_or_nothing(mesh)) == counted, "a new worker knows them")


def requests_in(series: Mapping[Series, float]) -> dict[Series, float]:
    return {each: value for each, value in series.items() if each[0] == "istio_requests_total"}


def told_or_nothing(mesh: Mesh) -> dict[Series, float]:
    try:
        return told(mesh.data)
    except OSError:
        return {}
