"""What the control plane says of itself on /metrics, under Istio's names."""

import subprocess

from tests.live.mesh import Mesh
from tests.slow.oracle.metrics import Series, told

GOOD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: measured, namespace: live}
spec: {hosts: [echo], http: [{timeout: 7s, route: [{destination: {host: echo}}]}]}
"""
BAD = GOOD.replace("7s", "banana")
KIND = {"group": "networking.istio.io", "version": "v1", "resource": "virtualservice"}
PROCESSES = {"agent", "control-plane", "forwarder", "holder", "supervisor", "telemetry"}


def value(series: dict[Series, float], name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def kubectl(mesh: Mesh, *words: str, stdin: str) -> subprocess.CompletedProcess[str]:
    argv = ["kubectl", "--kubeconfig", str(mesh.data / "kubeconfig"), *words]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_a_change_is_counted_from_the_door_to_the_last_proxy(mesh: Mesh) -> None:
    before = told(mesh.data)

    def grown(name: str, **labels: str) -> float:
        return value(told(mesh.data), name, **labels) - value(before, name, **labels)

    assert kubectl(mesh, "apply", "-f", "-", stdin=BAD).returncode != 0
    assert kubectl(mesh, "apply", "-f", "-", stdin=GOOD).returncode == 0
    try:
        mesh.eventually(lambda: grown("pilot_proxy_convergence_time_count") >= 1, "a proxy runs it")
        assert grown("pilot_proxy_convergence_time_bucket", le="+Inf") >= 1
        assert grown("pilot_xds_pushes", type="rds") >= 1
        assert grown("pilot_virt_services") == 1
        assert grown("pilot_k8s_cfg_events", type="virtualservices.networking.istio.io", event="add") == 1
        assert (grown("galley_validation_passed", **KIND), grown("galley_validation_failed", **KIND)) == (1, 1)
        assert grown("pilot_total_xds_rejects") == 0
    finally:
        kubectl(mesh, "delete", "-f", "-", stdin=GOOD)
    mesh.eventually(lambda: grown("pilot_virt_services") == 0, "it is gone")


def test_certificates_and_proxies_are_counted(mesh: Mesh) -> None:
    series = told(mesh.data)
    proxies = value(series, "pilot_xds")
    assert proxies >= 3
    assert value(series, "citadel_server_csr_count") >= proxies
    assert value(series, "citadel_server_success_cert_issuance_count") == value(series, "citadel_server_csr_count")
    assert value(series, "pilot_services") >= 1


def test_every_process_of_ours_says_what_it_uses(mesh: Mesh) -> None:
    mesh.eventually(lambda: bool(processes(told(mesh.data), "process_open_fds")), "a look at processes")
    series = told(mesh.data)
    for name in ("cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds"):
        assert processes(series, f"process_{name}") == PROCESSES
    for each in PROCESSES:
        assert value(series, "process_resident_memory_bytes", process=each) > 0
    assert processes(series, "meshwright_event_loop_lag_seconds") == {"agent", "control-plane", "telemetry"}


def processes(series: dict[Series, float], metric: str) -> set[str]:
    return {dict(labels)["process"] for name, labels in series if name == metric}
