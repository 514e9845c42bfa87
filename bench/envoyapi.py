"""What Envoy's messages cost: importing them, holding them in memory, checking their rules.

Run by ``python -m bench.envoyapi``. Import times and memory come from new processes, the least of several.
"""

import subprocess
import sys
import time
from collections.abc import Callable

from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.rules import violations

RUNS = 7
MODULES = (
    "envoy.config.bootstrap.v3.bootstrap_pb2:Bootstrap",
    "envoy.config.cluster.v3.cluster_pb2:Cluster",
    "envoy.config.endpoint.v3.endpoint_pb2:ClusterLoadAssignment",
    "envoy.config.listener.v3.listener_pb2:Listener",
    "envoy.config.route.v3.route_pb2:RouteConfiguration",
    "envoy.config.route.v3.route_components_pb2:VirtualHost",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2:HttpConnectionManager",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2:UpstreamTlsContext",
    "google.protobuf.any_pb2:Any",
    "google.protobuf.duration_pb2:Duration",
)
STAGES = (
    ("bare Python", ""),
    ("+ google.protobuf", "import google.protobuf.message_factory, google.protobuf.descriptor_pool"),
    ("+ pool.py imported", "import meshwright.envoyapi.pool"),
    ("+ 10 modules imported", "".join(f"import meshwright.envoyapi.{m.partition(':')[0]}\n" for m in MODULES)),
    ("+ their classes used", "".join(f"import meshwright.envoyapi.{m.replace(':', ' as m; m.')}\n" for m in MODULES)),
)
MEASURED = """
import time; begin = time.perf_counter()
{code}
seconds = time.perf_counter() - begin
with open("/proc/self/smaps_rollup") as lines: sizes = dict(line.split()[:2] for line in lines if "kB" in line)
print(seconds * 1000, int(sizes["Rss:"]) / 1024)
"""


def run() -> list[tuple[str, str]]:
    """Rows of (what, result) in the order they build on each other."""
    rows: list[tuple[str, str]] = []
    base = 0.0
    for name, code in STAGES:
        milliseconds, mebibytes = _in_new_processes(code)
        base = base or mebibytes
        rows.append((name, f"{milliseconds:6.1f} ms  {mebibytes:5.1f} MiB RSS  ({mebibytes - base:+.1f})"))
    rows += [_checking("rules of a cluster", _cluster()), _checking("rules of 100 routes", _host())]
    return rows


def _in_new_processes(code: str) -> tuple[float, float]:
    results = [_in_new_process(MEASURED.format(code=code)) for _ in range(RUNS)]
    return min(one[0] for one in results), min(one[1] for one in results)


def _in_new_process(code: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    milliseconds, mebibytes = done.stdout.split()
    return float(milliseconds), float(mebibytes)


def _cluster() -> Cluster:
    cluster = Cluster(name="outbound|9080||reviews.default.svc.cluster.local", type=Cluster.EDS)
    cluster.connect_timeout.FromMilliseconds(1000)
    cluster.load_assignment.cluster_name = cluster.name
    for number in range(10):
        address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = f"10.0.0.{number}", 9080
    nested = Any()
    nested.Pack(Cluster(name="nested"))
    cluster.typed_extension_protocol_options["k"].CopyFrom(nested)
    return cluster


def _host() -> VirtualHost:
    routes = [
        Route(name=f"r{number}", match=RouteMatch(prefix=f"/{number}"), route=RouteAction(cluster="a"))
        for number in range(100)
    ]
    return VirtualHost(name="v", domains=["*"], routes=routes)


def _checking(name: str, message: Cluster | VirtualHost) -> tuple[str, str]:
    assert violations(message) == ()
    check, write = _microseconds(lambda: violations(message)), _microseconds(message.SerializeToString)
    return name, f"{check:7.1f} us  (serialising: {write:.1f} us)"


def _microseconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(RUNS):
        begin = time.perf_counter()
        for _ in range(100):
            work()
        best = min(best, time.perf_counter() - begin)
    return best / 100 * 1e6


if __name__ == "__main__":
    for what, result in run():
        print(f"{what:24} {result}")
