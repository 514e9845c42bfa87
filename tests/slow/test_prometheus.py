"""A real Prometheus scrapes /metrics, and answers what Kiali asks for its graph, on Bookinfo with visitors."""

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live.mesh import PROGRAMS, Mesh, free_port
from tests.slow.bookinfo import bookinfo_mesh
from tests.slow.oracle.metrics import address

pytestmark = pytest.mark.timeout(300)
WINDOW = "20s"
BROKEN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details, namespace: default}
spec:
  hosts: [details]
  http:
  - fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: details}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tcp-echo, namespace: default}
spec:
  selector: {matchLabels: {app: tcp-echo}}
  template:
    metadata: {labels: {app: tcp-echo, version: v1}}
    spec:
      containers:
      - name: tcp-echo
        image: docker.io/istio/tcp-echo-server:1.3
        args: ["9100", "hello"]
        ports: [{containerPort: 9100}]
---
apiVersion: v1
kind: Service
metadata: {name: tcp-echo, namespace: default}
spec: {selector: {app: tcp-echo}, ports: [{name: tcp, port: 9100}]}
"""
SHOP = "shop"  # a namespace of its own for gRPC, so that what is asked of Bookinfo stays Bookinfo
GREETER = (PROGRAMS.parent / "configs" / "grpc.yaml").read_text().replace("namespace: live", f"namespace: {SHOP}")
GREETINGS = 20
# What Kiali groups by: a series that lacks one of these is not shown.
ENDS = (
    "source_cluster,source_workload_namespace,source_workload,source_canonical_service,source_canonical_revision,"
    "destination_cluster,destination_service_namespace,destination_service,destination_service_name,"
    "destination_workload_namespace,destination_workload,destination_canonical_service,destination_canonical_revision"
)
REQUESTS = f"{ENDS},request_protocol,response_code,grpc_response_status,response_flags"
SECURITY = f"{ENDS},source_principal,destination_principal,connection_security_policy"
BOOKINFO = {
    ("istio-ingressgateway", "productpage-v1"),
    ("productpage-v1", "reviews-v1"),
    ("productpage-v1", "reviews-v2"),
    ("productpage-v1", "reviews-v3"),
    ("reviews-v2", "ratings-v1"),
    ("reviews-v3", "ratings-v1"),
}


@dataclass
class Prometheus:
    """A running one."""

    port: int

    def get(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.loads(answer.read())["data"]

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series."""
        found = self.get("/api/v1/query", query=query)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def health(self) -> list[str]:
        try:
            return [each["health"] for each in self.get("/api/v1/targets")["activeTargets"]]
        except (OSError, urllib.error.URLError):
            return []


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with bookinfo_mesh() as made:
        shutil.copytree(PROGRAMS, made.programs, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        made.up([], profile="demo", visitors=True)
        file = made.programs / "broken.yaml"
        namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SHOP}}}\n---\n"
        greeter = GREETER.replace("{python}", sys.executable).replace("{programs}", str(made.programs))
        file.write_text(f"{BROKEN}---\n{namespace}{greeter}")
        made.run("apply", "-f", str(file))
        made.eventually(lambda: len(greeters(made)) == 2, "both greeters are ready", 60)
        yield made


@pytest.fixture(scope="module")
def prometheus(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    binary = shutil.which("prometheus")
    assert binary, "no prometheus on PATH; to install it: sudo apt-get install -y --no-install-recommends prometheus"
    folder = tmp_path_factory.mktemp("prometheus")
    config = {"scrape_interval": "2s", "scrape_timeout": "2s"}
    jobs = [{"job_name": "mesh", "static_configs": [{"targets": [address(mesh.data)]}]}]
    (folder / "prometheus.yml").write_text(json.dumps({"global": config, "scrape_configs": jobs}))
    port = free_port()
    words = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log, subprocess.Popen([binary, *words], stdout=log, stderr=log) as running:
        try:
            made = Prometheus(port)
            mesh.eventually(lambda: made.health() == ["up"], "the target is up")
            talk(mesh)
            time.sleep(32)  # the window of the queries, looks, and scrapes
            yield made
        finally:
            running.terminate()


def greeters(mesh: Mesh) -> list[str]:
    """Those that are ready."""
    return [pod["name"] for pod in mesh.status()["pods"] if pod["name"].startswith("greeter-") and pod["ready"]]


def talk(mesh: Mesh) -> None:
    """Connections and gRPC, which Bookinfo has none of."""
    greet = [sys.executable, str(mesh.programs / "greet.py"), f"greeter.{SHOP}:9000", str(GREETINGS)]
    mesh.exec("deploy/productpage-v1", *greet)
    for _ in range(3):
        mesh.exec("deploy/productpage-v1", sys.executable, str(mesh.programs / "line.py"), "tcp-echo", "9100", "hi")


def edges(found: list[tuple[dict[str, str], float]]) -> set[tuple[str, str]]:
    return {(labels["source_workload"], labels["destination_workload"]) for labels, value in found if value > 0}


def complete(found: list[tuple[dict[str, str], float]], names: str) -> None:
    """Every label that Kiali groups by is there (of a gRPC status plain HTTP has none, as in Istio)."""
    assert found
    for labels, _ in found:
        assert {*names.split(",")} - labels.keys() <= {"grpc_response_status"}


def rate(metric: str, names: str, **matchers: str) -> str:
    chosen = ",".join(
        f'{name.rstrip("_")}{"!=" if name.endswith("_") else "=~"}"{value}"' for name, value in matchers.items()
    )
    return f"sum(rate({metric}{{{chosen}}}[{WINDOW}])) by ({names}) > 0"


def test_what_kiali_asks_for_its_graph_of_requests(prometheus: Prometheus) -> None:
    failed = prometheus.ask(
        rate(
            "istio_requests_total",
            REQUESTS,
            reporter="source",
            destination_workload="unknown",
            destination_service=r"^.+\\.default\\..+$",
        )
    )
    complete(failed, REQUESTS)
    assert edges(failed) == {("productpage-v1", "unknown")}
    assert {
        (each["destination_service_name"], each["response_code"], each["response_flags"]) for each, _ in failed
    } == {("details", "503", "FI")}
    into = prometheus.ask(
        rate("istio_requests_total", REQUESTS, reporter="destination", destination_workload_namespace="default")
    )
    complete(into, REQUESTS)
    assert edges(into) >= BOOKINFO
    out = prometheus.ask(
        rate("istio_requests_total", REQUESTS, reporter="source", source_workload_namespace="default")
    )
    complete(out, REQUESTS)
    assert edges(out) == {each for each in BOOKINFO if each[0] != "istio-ingressgateway"} | {
        ("productpage-v1", "unknown")
    }
    gateway = rate("istio_requests_total", ENDS, reporter="source", source_workload="istio-ingressgateway")
    [(_, sent)] = prometheus.ask(gateway)
    [(_, came)] = prometheus.ask(gateway.replace('"source"', '"destination"'))
    assert sent == pytest.approx(came, rel=0.2)
    assert 1 < sent < 7  # five a second, on a busy machine fewer


def test_edges_are_locked_where_both_ends_prove_who_they_are(prometheus: Prometheus) -> None:
    found = prometheus.ask(rate("istio_requests_total", SECURITY, reporter="destination"))
    complete(found, SECURITY)
    inside = [
        labels for labels, _ in found if labels["source_workload"] in {"productpage-v1", "reviews-v2", "reviews-v3"}
    ]
    assert {labels["connection_security_policy"] for labels in inside} == {"mutual_tls"}
    accounts = {labels["source_principal"].rpartition("/")[2] for labels in inside}
    assert accounts == {"bookinfo-productpage", "bookinfo-reviews"}


def test_response_times_and_sizes(prometheus: Prometheus) -> None:
    name = "istio_request_duration_milliseconds"
    buckets = rate(f"{name}_bucket", f"le,{ENDS}", reporter="destination").removesuffix(" > 0")
    found = prometheus.ask(f"histogram_quantile(0.95, {buckets}) > 0")
    assert edges(found) >= BOOKINFO
    mean = prometheus.ask(
        f"sum(rate({name}_sum[{WINDOW}])) by ({ENDS}) / sum(rate({name}_count[{WINDOW}])) by ({ENDS}) > 0"
    )
    assert edges(mean) >= BOOKINFO
    for metric in ("istio_request_bytes_sum", "istio_response_bytes_sum"):
        assert edges(prometheus.ask(rate(metric, ENDS, reporter="destination"))) >= BOOKINFO


def test_connections(prometheus: Prometheus) -> None:
    for metric in ("istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"):
        for reporter in ("source", "destination"):
            found = prometheus.ask(
                f'sum({metric}{{reporter="{reporter}",app!="ztunnel"}}) by ({ENDS},response_flags)'
            )
            complete(found, f"{ENDS},response_flags")
            assert edges(found) == {("productpage-v1", "tcp-echo")}
            [(_, size)] = found
            assert size == 3 * len("hello hi\n" if "sent" in metric else "hi\n")


def test_messages_of_grpc(prometheus: Prometheus) -> None:
    """As the graph of gRPC asks: without protocol, code, status and flags."""
    for metric in ("istio_request_messages_total", "istio_response_messages_total"):
        for reporter in ("source", "destination"):
            found = prometheus.ask(f'sum({metric}{{reporter="{reporter}"}}) by ({ENDS})')
            complete(found, ENDS)
            assert edges(found) == {("productpage-v1", "greeter")}
            assert [count for _, count in found] == [GREETINGS]
    names = f"{ENDS},request_protocol,grpc_response_status"
    [(labels, count)] = prometheus.ask(
        f'sum(istio_requests_total{{reporter="source",request_protocol="grpc"}}) by ({names})'
    )
    assert (labels["grpc_response_status"], count) == ("0", GREETINGS)


def test_health(prometheus: Prometheus) -> None:
    names = (
        "destination_service_name,destination_service_namespace,destination_cluster,destination_workload,"
        "destination_workload_namespace,request_protocol,response_code,grpc_response_status,reporter"
    )
    found = prometheus.ask(rate("istio_requests_total", names, destination_service_namespace="default"))
    failing = {labels["destination_service_name"] for labels, _ in found if labels["response_code"] == "503"}
    assert failing == {"details"}


def test_the_control_plane_says_how_it_is(mesh: Mesh, prometheus: Prometheus) -> None:
    [(_, proxies)] = prometheus.ask("pilot_xds")
    assert proxies >= len(BOOKINFO)
    [(_, seconds)] = prometheus.ask("histogram_quantile(0.5, sum(pilot_proxy_convergence_time_bucket) by (le)) > 0")
    assert 0 < seconds <= 30
    processes = {labels["process"] for labels, _ in prometheus.ask("rate(process_cpu_seconds_total[1m]) > 0")}
    assert {"control-plane", "telemetry"} <= processes
    with urllib.request.urlopen(f"http://{address(mesh.data)}/metrics", timeout=20) as answer:
        text = answer.read()
    tool = shutil.which("promtool")
    assert tool, "promtool comes with prometheus"
    # it says what it thinks of names, which are Istio's (exit code 3); 1 is text that it cannot read
    said = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert said.returncode in {0, 3}, said.stderr
    assert b"no help text" not in said.stderr
