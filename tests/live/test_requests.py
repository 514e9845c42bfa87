"""`requests` lists what proxies logged, and `explain --request` says where such a request goes now."""

import json
import socket
import ssl
from typing import Any
from uuid import uuid4

from tests.live.mesh import HANG, Mesh

ABORTED, STRAIGHT = "http://fault:8000/abort", "http://fault:8000/other"


def send(mesh: Mesh, url: str, status: int) -> str:
    """One request with an id of its own, which is kept a moment later."""
    name = str(uuid4())
    assert mesh.one(url, headers={"x-request-id": name, "x-test-id": name}).status == status
    mesh.eventually(lambda: bool(kept(mesh, "--id", name)), f"{url} is kept", HANG)
    return name


def kept(mesh: Mesh, *words: str) -> list[dict[str, Any]]:
    return json.loads(mesh.run("requests", *words, "-o", "json").stdout)


def explained(mesh: Mesh, *words: str, stdin: str = "") -> dict[str, Any]:
    return json.loads(mesh.run("explain", *words, "-o", "json", stdin=stdin).stdout)


def failed_halves(mesh: Mesh) -> list[dict[str, Any]]:
    """The requests to `/half` that failed, the newest last."""
    return [each for each in kept(mesh, "--failed", "--limit", "200") if each["path"] == "/half"]


def last(mesh: Mesh, word: str) -> str:
    """The first line about the last request; another test's may be one whose caller has gone."""
    return mesh.run("explain", "--request", word, check=False).stdout.partition("\n")[0]


def test_a_logged_request_is_explained_by_its_id(mesh: Mesh) -> None:
    name = send(mesh, STRAIGHT, 200)
    [record] = kept(mesh, "--id", name)
    assert (record["source"], record["authority"], record["code"]) == ("live/client", "fault:8000", "200")
    assert kept(mesh, "--id", name, "--failed") == []
    answer = explained(mesh, "--request", name[:13])
    asked = explained(mesh, "--from", "deploy/client.live", "--to", STRAIGHT)
    assert answer["logged"] == record
    assert answer["hops"] == [record]
    assert {key: answer[key] for key in asked} == asked
    text = mesh.run("explain", "--request", name).stdout
    assert text.startswith(f"request {name} at ")
    assert f"GET {STRAIGHT} from client-" in text


def test_what_failed_last_names_the_rule_behind_it(mesh: Mesh) -> None:
    url = "http://fault:8000/half"
    mesh.eventually(lambda: mesh.one(url).status == 503, "one of two is aborted", HANG)
    mesh.eventually(lambda: bool(failed_halves(mesh)), "the failure is kept, among those of other tests", HANG)
    newest = failed_halves(mesh)[-1]
    answer = explained(mesh, "--request", newest["id"])
    faults = [step["origin"] for step in answer["steps"] if step["stage"] == "fault"]
    assert [(each["kind"], each["name"]) for each in faults] == [("VirtualService", "fault")]
    assert answer["logged"]["flags"] == "FI"
    mesh.eventually(lambda: newest["id"] in last(mesh, "last-failed"), "it is the last that failed", HANG)
    name = send(mesh, STRAIGHT, 200)
    mesh.eventually(lambda: name in last(mesh, "last"), "it is the last one", HANG)
    assert newest["id"] in last(mesh, "last-failed")


def test_a_log_line_or_a_record_is_piped_in(mesh: Mesh) -> None:
    name = send(mesh, ABORTED, 418)
    by_line = explained(mesh, "--request", "-", stdin=f'"GET /abort HTTP/1.1" 418 FI "{name}" "fault:8000"\n')
    assert (by_line["outcome"], by_line["status"]) == ("respond", 418)
    by_record = explained(mesh, "--request", "-", stdin=json.dumps(kept(mesh, "--id", name)))
    assert by_record == by_line
    done = mesh.run("explain", "--request", str(uuid4()), check=False)
    assert done.returncode == 1
    assert "is not kept" in done.stderr


def test_requests_through_the_gateway_are_asked_from_outside_with_their_scheme(mesh: Mesh) -> None:
    context = ssl.create_default_context(cafile=str(mesh.programs / "ca.pem"))
    path = f"/tls-{uuid4()}"
    raw = socket.create_connection(("127.0.0.1", mesh.host_tls_port), timeout=10)
    with context.wrap_socket(raw, server_hostname="secure.example.com") as connection:
        head = f"GET {path} HTTP/1.1\r\nhost: secure.example.com\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
    found: list[dict[str, Any]] = []

    def is_kept() -> bool:
        found[:] = [each for each in kept(mesh, "--limit", "200") if each["path"] == path]
        return bool(found)

    mesh.eventually(is_kept, "the request by TLS is kept", HANG)
    answer = explained(mesh, "--request", found[0]["id"])
    assert answer["to"] == f"https://secure.example.com{path}"
    assert answer["outcome"] == "forward"
    assert answer["from"].startswith("istio-ingressgateway-")
