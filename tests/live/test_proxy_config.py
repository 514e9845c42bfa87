"""What real Envoys run, as `proxy-config` and `proxy-status` tell it, and where it comes from."""

import base64
import json
import os
import signal
from typing import Any

import pytest

from tests.live.kubectl import kubectl
from tests.live.mesh import Mesh, apply

POD = "deploy/client.live"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: origins, namespace: live}
spec:
  selector: {app: echo}
  ports: [{name: http, port: 8000}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: origins, namespace: live}
spec:
  host: origins
  subsets:
  - {name: v1, labels: {version: v1}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: origins, namespace: live}
spec:
  hosts: [origins]
  http:
  - match: [{uri: {prefix: /one}}]
    route: [{destination: {host: origins, subset: v1}}]
  - route: [{destination: {host: origins}}]
"""
HOST = "origins.live.svc.cluster.local"


@pytest.fixture(autouse=True)
def origins(mesh: Mesh) -> None:
    """A service of this module's own, with rules that come by standard input."""
    apply(mesh, SERVICE)
    apply(mesh, RULE)


def values(mesh: Mesh, *words: str) -> Any:
    return json.loads(mesh.run("proxy-config", *words, "-o", "json").stdout)


def test_clusters_and_where_they_come_from(mesh: Mesh) -> None:
    table = mesh.run("proxy-config", "cluster", POD, "--fqdn", "origins.live").stdout.splitlines()
    assert table[0].split("   ")[0] == "SERVICE FQDN"
    assert [line.split()[:4] for line in table[1:]] == [
        [HOST, "8000", "-", "outbound"],
        [HOST, "8000", "v1", "outbound"],
    ]
    assert "Service live/origins spec.ports[0] (<stdin>:7)" in table[1]
    assert "DestinationRule live/origins spec.subsets[0] (<stdin>:8)" in table[2]
    [only] = values(mesh, "cluster", POD, "--fqdn", "origins.live", "--subset", "v1")
    assert only["name"] == f"outbound|8000|v1|{HOST}"
    assert only["type"] == "EDS"
    assert only["meshwright"]["state"] == "active"
    assert only["meshwright"]["origins"][0]["line"] == 8


def test_a_line_is_named_only_as_long_as_it_is_true(mesh: Mesh) -> None:
    routes = mesh.run("proxy-config", "route", POD, "--name", "8000").stdout
    assert "VirtualService live/origins spec.http[0].match[0] (<stdin>:16)" in routes
    patch = json.dumps([{"op": "add", "path": "/spec/http/0/timeout", "value": "3s"}])
    kubectl(mesh, "patch", "vs", "origins", "-n", "live", "--type", "json", "-p", patch)
    mesh.eventually(
        lambda: "VirtualService live/origins spec.http[1]\n" in mesh.run("proxy-config", "r", POD).stdout,
        "the object is known, the line is not any more",
    )


def test_filters(mesh: Mesh) -> None:
    inbound = values(mesh, "cluster", POD, "--direction", "inbound")
    assert all(each["name"].startswith("inbound|") for each in inbound)
    http = values(mesh, "listener", POD, "--type", "HTTP")
    assert {each["name"] for each in values(mesh, "listener", POD, "--port", "15006")} == {"virtualInbound"}
    assert "virtualInbound" not in {each["name"] for each in http}
    cluster = f"outbound|8000|v1|{HOST}"
    [found] = values(mesh, "endpoint", POD, "--cluster", cluster, "--status", "healthy")
    assert len(found["host_statuses"]) == 1
    assert not values(mesh, "endpoint", POD, "--cluster", cluster, "--status", "unhealthy")
    assert mesh.run("proxy-config", "route", POD, "--fqdn", "x", check=False).returncode == 2


def test_keys_are_nowhere(mesh: Mesh) -> None:
    secrets = values(mesh, "secret", POD)
    own = next(each for each in secrets if each["name"] == "default")
    assert own["tls_certificate"]["private_key"] == "[redacted]"
    everything = mesh.run("proxy-config", "all", POD, "-o", "json").stdout
    for word in ("PRIVATE KEY", base64.b64encode(b"-----BEGIN EC PRIVATE").decode()[:24], "LS0tLS1CRUdJTiBQUklWQVRF"):
        assert word not in everything
    table = mesh.run("proxy-config", "secret", POD).stdout
    assert "Cert Chain   ACTIVE   true" in table
    assert set(json.loads(everything)) >= {"bootstrap", "clusters", "listeners", "routes", "endpoints", "secrets"}


def test_log_levels(mesh: Mesh) -> None:
    set_to = mesh.run("proxy-config", "log", POD, "--level", "http:debug,rbac:trace").stdout
    assert "  http: debug" in set_to
    assert "  rbac: trace" in set_to
    assert values(mesh, "log", POD)["rbac"] == "trace"
    assert set(values(mesh, "log", POD, "--reset").values()) == {"warning"}
    for words in (("--level", "nosuchlogger:debug"), ("--level", "loud"), ("--level", "debug", "--reset")):
        assert mesh.run("proxy-config", "log", POD, *words, check=False).returncode == 2


def test_every_proxy_runs_what_is_published(mesh: Mesh) -> None:
    mesh.eventually(
        lambda: all(each["synced"] for each in json.loads(mesh.run("proxy-status", "-o", "json").stdout)), "synced"
    )
    for each in json.loads(mesh.run("proxy-status", "-o", "json").stdout):
        assert each["connected"]
        assert each["role"] in {"sidecar", "router"}
        assert each["types"]["CDS"]["state"] == "SYNCED"
        assert each["types"]["CDS"]["acknowledged"] == each["types"]["CDS"]["sent"] > 0
    one = mesh.run("proxy-status", POD)
    assert "clusters match" in one.stdout
    assert "secrets match: 2 as published" in one.stdout


def test_with_the_control_plane_away(mesh: Mesh) -> None:
    state = json.loads((mesh.data / "run" / "supervisor.json").read_text())
    pid = state["children"]["control-plane"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = mesh.run("proxy-config", "cluster", POD, "--fqdn", "origins.live")
        assert HOST in done.stdout
        assert "origins are not known" in done.stderr
        told = mesh.run("proxy-status")
        assert "as far as its machine knows" in told.stdout
        assert "the control plane is away" in told.stderr
        assert mesh.status()["control_plane"] == "away"
    finally:
        os.kill(pid, signal.SIGCONT)
    mesh.eventually(lambda: mesh.status()["control_plane"] == "running", "it answers again")


def test_only_what_is_allowed_reaches_an_envoy(mesh: Mesh) -> None:
    done = mesh.run("proxy-config", "log", POD, "--level", "debug&x=1", check=False)
    assert done.returncode == 2
    assert mesh.run("proxy-config", "cluster", "nobody.live", check=False).returncode == 2
