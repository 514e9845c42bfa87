"""Automatic mutual TLS between pods: what is on the wire, who is who, and what STRICT and PERMISSIVE take."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.live.mesh import Mesh

SECRET_WORDS = "only-for-the-far-side"
TLS_HANDSHAKE = 22
SUPPORTED_VERSIONS, TLS_1_3 = b"\x00\x2b\x00\x02", b"\x03\x04"
CLIENT = "spiffe://cluster.local/ns/live/sa/client"
ECHO = "spiffe://cluster.local/ns/live/sa/echo"


def a_process_of(pod: str) -> int:
    """A process (by its id here) that runs in the pod's network namespace."""
    wanted = f"MESHWRIGHT_POD={pod}".encode()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no process of {pod}")


def inside_network_of(pod: str) -> list[str]:
    users = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
    return ["nsenter", "-t", str(a_process_of(pod)), *users, "-n"]


def pod_of(mesh: Mesh, deployment: str) -> str:
    return next(pod["name"] for pod in mesh.status()["pods"] if pod["name"].startswith(f"{deployment}-"))


def capture(mesh: Mesh, pod: str, url: str) -> list[bytes]:
    """The TCP payloads at eth0 of `pod` while one request is made."""
    words = [*inside_network_of(pod), sys.executable, str(mesh.programs / "sniff.py"), "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sniffer:
        assert sniffer.stdout is not None
        assert sniffer.stdout.readline().strip() == "READY"
        answer = mesh.one(url, headers={"x-words": SECRET_WORDS}, method="POST", body=SECRET_WORDS)
        assert answer.status == 200
        lines = sniffer.stdout.read().split()
    return [bytes.fromhex(line) for line in lines]


def test_the_wire_carries_tls_1_3_and_no_plaintext(mesh: Mesh) -> None:
    seen = capture(mesh, pod_of(mesh, "strict"), "http://strict:8000/private")
    assert seen
    everything = b"".join(seen)
    for words in (SECRET_WORDS.encode(), b"/private", b"x-words", b"HTTP/1.1"):
        assert words not in everything
    hellos = [data for data in seen if data[0] == TLS_HANDSHAKE and len(data) > 6 and data[5] == 2]
    assert hellos, "a server hello was captured"
    assert all(SUPPORTED_VERSIONS + TLS_1_3 in data for data in hellos)


def test_both_identities_are_known_at_the_server(mesh: Mesh) -> None:
    seen = mesh.one("http://echo:8000/").json["headers"]["x-forwarded-client-cert"]
    assert f"By={ECHO}" in seen
    assert f"URI={CLIENT}" in seen


def test_the_servers_log_has_both_identities(mesh: Mesh) -> None:
    marked = f"/identities-{time.monotonic_ns()}"
    served = mesh.one(f"http://strict:8000{marked}")
    assert served.status == 200

    def logged() -> bool:
        log = mesh.run("logs", "deploy/strict", "-n", "live", "-c", "proxy").stdout
        line = next((line for line in log.splitlines() if marked in line and "inbound" in line), "")
        return CLIENT in line and "spiffe://cluster.local/ns/live/sa/strict" in line

    mesh.eventually(logged, "both identities in one line of the server's log")


def test_plaintext_is_refused_in_strict(mesh: Mesh) -> None:
    assert mesh.one("http://strict:8000/").status == 200
    refused = mesh.one("http://strict:8000/", pod="deploy/stranger.live")
    assert refused.status == 0
    assert refused.error


def test_plaintext_is_served_in_permissive(mesh: Mesh) -> None:
    answer = mesh.one("http://echo:8000/", pod="deploy/stranger.live")
    assert answer.status == 200
    assert "x-forwarded-client-cert" not in answer.json["headers"]


def test_a_client_cannot_forge_its_identity(mesh: Mesh) -> None:
    forged = {"x-forwarded-client-cert": "By=x;URI=spiffe://cluster.local/ns/live/sa/admin"}
    seen = mesh.one("http://echo:8000/", pod="deploy/stranger.live", headers=forged).json["headers"]
    assert "admin" not in seen.get("x-forwarded-client-cert", "")
