"""Leaves, issuers and roots of a living mesh are exchanged every few seconds: no request fails, nobody restarts."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

from meshwright.ca import certificates
from tests.live.mesh import HANG, Mesh
from tests.slow.bookinfo import bookinfo_mesh, load, pids
from tests.slow.load.world import load as protocols
from tests.slow.load.world import loaded_mesh

pytestmark = pytest.mark.timeout(240)
TIMES = {
    "DEFAULT_WORKLOAD_CERT_TTL": "6s",
    "MESHWRIGHT_ISSUER_CERT_TTL": "12s",
    "CITADEL_SELF_SIGNED_CA_CERT_TTL": "40s",
}
NEW_CONNECTIONS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: details-anew, namespace: default}
spec:
  host: details
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
"""
"""Every request to `details` makes a handshake; to `reviews` and others connections are kept."""


@pytest.fixture
def mesh() -> Generator[Mesh]:
    with bookinfo_mesh() as made:
        made.environment.update(TIMES)
        made.up([], profile="demo")
        made.run("apply", "-f", "-", "--wait", stdin=NEW_CONNECTIONS)
        yield made
        made.down()


@dataclass
class Kept:
    """Pages over one connection that stays, one after the other until `stopped`; failures in words."""

    port: int
    answered: int = 0
    failures: list[str] = field(default_factory=list[str])
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while not self.stopped.is_set():
                connection.request("GET", "/api/v1/products/0")
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status != 200 or answer.headers.get("connection") == "close":
                    self.failures.append(f"{answer.status} {text[:100]}")
                self.answered += 1
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
        finally:
            connection.close()


def total(mesh: Mesh, pod: str, kind: str, host: str) -> int:
    """Connections (cx) or requests (rq) of one Envoy to a host so far."""
    folder = next(path for path in (mesh.data / "pods").iterdir() if path.name.startswith(pod))
    command = ["curl", "-s", "--unix-socket", "admin.sock", "http://admin/clusters"]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
    parts = [line.split("::") for line in told.splitlines()]
    return sum(int(part[3]) for part in parts if f"||{host}." in part[0] and part[2:3] == [f"{kind}_total"])


def roots_and_issuers(mesh: Mesh) -> tuple[set[bytes], set[bytes]]:
    """What is trusted now, and who signed the leaves of now."""
    roots = set(certificates.split((mesh.data / "ca" / "root.pem").read_bytes()))
    chains = [path.read_bytes() for path in (mesh.data / "leaves").glob("*.pem")]
    return roots, {certificates.split(chain[chain.index(b"-----BEGIN CERT") :])[1] for chain in chains}


def test_everything_is_exchanged_under_load(mesh: Mesh) -> None:
    before = {name: pid for name, pid in pids(mesh).items() if name != "supervisor"}
    roots, issuers = roots_and_issuers(mesh)
    kept = Kept(mesh.host_port)
    thread = threading.Thread(target=kept.run)
    thread.start()
    try:
        with load(mesh.host_port) as running:
            end = time.monotonic() + HANG
            while len(roots) < 4 or len(issuers) < 10:
                assert time.monotonic() < end, f"{len(roots)} roots and {len(issuers)} issuers were seen"
                time.sleep(0.5)
                more_roots, more_issuers = roots_and_issuers(mesh)
                roots |= more_roots
                issuers |= more_issuers
            running.wait_for(200)
    finally:
        kept.stopped.set()
        thread.join(HANG)
    assert set(running.statuses) == {200}
    assert kept.failures == []
    assert kept.answered > 500
    # both kinds of connections were there: one for every request, and few for many
    asked, made = (total(mesh, "productpage", kind, "details") for kind in ("rq", "cx"))
    assert asked > 500
    assert made > asked * 0.9
    assert total(mesh, "productpage", "cx", "reviews") < asked / 20
    assert {name: pid for name, pid in pids(mesh).items() if name in before} == before
    assert all(pod["restarts"] == 0 for pod in mesh.status()["pods"])
    kubeconfig_still_works(mesh)
    files_are_their_owners_alone(mesh)


def test_no_protocol_notices() -> None:
    """HTTP/1.1, HTTP/2, gRPC and TCP, over connections that stay and over new ones."""
    with loaded_mesh(TIMES) as mesh:
        roots, issuers = roots_and_issuers(mesh)
        with protocols(mesh) as seen:
            end = time.monotonic() + HANG
            while len(roots) < 4 or len(issuers) < 8:
                assert time.monotonic() < end, f"{len(roots)} roots and {len(issuers)} issuers were seen"
                time.sleep(0.5)
                more_roots, more_issuers = roots_and_issuers(mesh)
                roots |= more_roots
                issuers |= more_issuers
    print(seen.table())
    assert seen.failed == 0, seen.failures[:10]
    assert all(stream["requests"] for stream in seen.streams.values())
    assert seen.streams["tcp"]["cut"] == 0, "no open connection was ended"


def kubeconfig_still_works(mesh: Mesh) -> None:
    """The object API is below the new root, and the file says so."""
    kept = json.loads((mesh.data / "kubeconfig").read_text())
    trusted = base64.b64decode(kept["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    request = urllib.request.Request(f"https://127.0.0.1:{mesh.api_port}/version")
    with urllib.request.urlopen(request, context=ssl.create_default_context(cadata=trusted), timeout=20) as answer:
        assert answer.status == 200


def files_are_their_owners_alone(mesh: Mesh) -> None:
    for place in (mesh.data / "ca", mesh.data / "leaves"):
        assert place.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


def test_it_goes_on_after_the_control_plane_was_killed(mesh: Mesh) -> None:
    """A kill in the middle of exchanging roots, again and again: the next control plane takes over where it was."""
    log = mesh.data / "logs" / "control-plane.log"
    with load(mesh.host_port) as running:
        running.wait_for(20)
        for word in ("made known to all", "the next root signs", "is not trusted any more"):
            seen = log.read_text().count(word)
            mesh.eventually(lambda word=word, seen=seen: log.read_text().count(word) > seen, word, 60)
            os.kill(pids(mesh)["control-plane"], signal.SIGKILL)
        seen = log.read_text().count("is not trusted any more")
        mesh.eventually(lambda: log.read_text().count("is not trusted any more") > seen, "one more exchange", 60)
        running.wait_for(100)
    assert set(running.statuses) == {200}
