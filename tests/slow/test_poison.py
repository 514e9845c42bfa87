"""40 objects that cannot work beside 200 good ones, in one change: every good one is live, every culprit named."""

import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Generator
from typing import Any

import pytest

from tests.live.kubectl import kubectl
from tests.live.mesh import Mesh, certificates, fill_in, own_mesh
from tests.slow.load.world import Api
from tests.slow.poison import GATEWAYS, NAMESPACE, SERVICES, Culprit, culprits, good, rule, service

pytestmark = pytest.mark.timeout(240)
HOSTS = [f"gate-{number}.example.com" for number in range(GATEWAYS)]
LATE = "late-culprit"
RULES = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
RETRIED_SECONDS = 36  # from a refusal until it is tried again for the first time, and a while longer
CHANGES = 900  # meanwhile; each has to have a receipt afterwards, and the newest thousand of them are kept
ASK_ALL = """
import http.client, json, sys
for number in range(int(sys.argv[1])):
    connection = http.client.HTTPConnection("echo", 8000, timeout=10)
    connection.request("GET", "/", headers={"Host": f"good-{number}:8000"})
    print(connection.getresponse().read().decode())
"""


@pytest.fixture(scope="module")
def mesh() -> Generator[Mesh]:
    with own_mesh() as made:
        made.up(fill_in(made, ["base"]))
        values = certificates(made.programs, HOSTS)
        fine = good(values["gateway_certificate"], values["gateway_key"])
        broken = "\n---\n".join(each.text for each in culprits())
        made.run("apply", "-f", "-", stdin=f"{fine}\n---\n{broken}")
        wait_for_good(made)
        yield made


def wait_for_good(mesh: Mesh) -> None:
    kubectl(mesh, "wait", "--for=condition=Live", "svc,vs", "-n", "live", "-l", "set=good", "--timeout=90s")
    kubectl(
        mesh, "wait", "--for=condition=Live", "gateway,vs", "-n", "istio-system", "-l", "set=gate", "--timeout=90s"
    )


def answered(mesh: Mesh) -> bool:
    return mesh.run("get", "namespaces", check=False).returncode == 0


def objects(mesh: Mesh, *words: str) -> list[dict[str, Any]]:
    return json.loads(kubectl(mesh, "get", *words, "-A", "-o", "json"))["items"]


def condition(thing: dict[str, Any], kind: str) -> dict[str, Any]:
    found = [each for each in thing.get("status", {}).get("conditions", []) if each["type"] == kind]
    current = [each for each in found if each["observedGeneration"] == thing["metadata"]["generation"]]
    return current[0] if current else {"status": "Unknown", "reason": "", "message": ""}


def is_named(thing: dict[str, Any], culprit: Culprit) -> bool:
    """Whether its status names the field, and who found it."""
    live = condition(thing, "Live")
    if culprit.said == "Envoy":
        return live["reason"] == "Refused" and f"{culprit.field}: Envoy refuses" in live["message"]
    told = f"{culprit.field}: " in condition(thing, "PassedAnalysis")["message"]
    fields = [each.get("field") for each in thing["status"].get("validationMessages", [])]
    return told and (thing["kind"] == "Service" or culprit.field in fields)


def unnamed(mesh: Mesh) -> list[str]:
    """Culprits of which the status does not say what is wrong, with what it says."""
    things = {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): each
        for each in objects(mesh, "vs,dr,gateway,serviceentry,svc")
    }
    missing = [
        (culprit, things[culprit.kind, culprit.namespace, culprit.name])
        for culprit in culprits()
        if not is_named(things[culprit.kind, culprit.namespace, culprit.name], culprit)
    ]
    return [f"{culprit.kind} {culprit.name}: {thing.get('status')}" for culprit, thing in missing]


def answering(body: str) -> str:
    return f"- directResponse: {{status: 200, body: {{string: {body}}}}}"


def answers(mesh: Mesh) -> list[str]:
    """What every good rule answers inside of the mesh."""
    return mesh.exec("deploy/client.live", sys.executable, "-c", ASK_ALL, str(SERVICES)).stdout.split()


def served(mesh: Mesh, host: str) -> str:
    """What the gateway serves for a host, over TLS."""
    context = ssl.create_default_context(cafile=str(mesh.programs / "ca.pem"))
    raw = socket.create_connection(("127.0.0.1", mesh.host_tls_port), timeout=10)
    with raw, context.wrap_socket(raw, server_hostname=host) as secure:
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while chunk := secure.recv(4096):
            received += chunk
    return received.decode().rpartition("\r\n")[2]


def test_every_good_object_is_live_and_every_culprit_named(mesh: Mesh) -> None:
    assert len(culprits()) == 40
    assert sum(each.said == "Envoy" for each in culprits()) == 14
    found = objects(mesh, "svc,vs,gateway", "-l", "set in (good, gate)")
    assert len(found) == 2 * SERVICES + 2 * GATEWAYS
    mesh.eventually(lambda: not unnamed(mesh), "every culprit is named", 30)
    assert all(said.startswith(f"good-{number}") for number, said in enumerate(answers(mesh)))
    assert len(answers(mesh)) == SERVICES
    assert [served(mesh, host) for host in HOSTS] == [host.partition(".")[0] for host in HOSTS]

    happened = objects(mesh, "events")
    warned = {each["involvedObject"]["name"] for each in happened if each["reason"] == "Refused"}
    assert warned - {"good-7", LATE} == {each.name for each in culprits() if each.said == "Envoy"}


def test_the_last_good_effect_stays_and_the_cured_object_is_live(mesh: Mesh) -> None:
    mesh.run("apply", "--wait", "-f", "-", stdin=rule("good-7", answering("good-7")))
    poison = "\n    headers: {request: {set: {x-a: '%PROTOCOL(y)%'}}}"
    text = rule("good-7", answering("never") + poison)
    done = mesh.run("apply", "--wait", "-f", "-", check=False, stdin=text)
    assert done.returncode == 1
    assert "refused by" in done.stderr
    assert "<stdin>:10: VirtualService live/good-7 spec.http[0].headers.request: Envoy refuses" in done.stderr
    waited = mesh.run("wait", "vs/good-7", "-n", "live", "--timeout", "5s", check=False)
    assert waited.returncode == 1
    assert "spec.http[0].headers.request: Envoy refuses" in waited.stderr
    assert answers(mesh)[7] == "good-7"

    mesh.run("apply", "--wait", "-f", "-", stdin=rule("good-8", answering("good-8-is-newer")))
    assert answers(mesh)[7:9] == ["good-7", "good-8-is-newer"]

    mesh.run("apply", "--wait", "-f", "-", stdin=rule("good-7", answering("good-7-again")))
    kubectl(mesh, "wait", "--for=condition=Live", "vs/good-7", "-n", "live", "--timeout=10s")
    assert answers(mesh)[7] == "good-7-again"


def test_changes_go_on_while_a_refused_object_is_tried_again(mesh: Mesh) -> None:
    """Many a second, so that proxies refuse the trial and get the next change at about the same time."""
    poison = "\n    headers: {request: {set: {x-a: '%COMMON_DURATION(a:b:e)%'}}}"
    text = f"{service(LATE)}\n---\n{rule(LATE, answering('never') + poison)}"
    refused = mesh.run("apply", "--wait", "-f", "-", check=False, stdin=text)
    assert f"VirtualService live/{LATE} spec.http[0].headers.request: Envoy refuses" in refused.stderr
    api, begun, written = Api(mesh), time.monotonic(), 0
    while written < CHANGES and time.monotonic() < begun + RETRIED_SECONDS:
        written += 1
        answer = [{"directResponse": {"status": 200, "body": {"string": f"good-9-{written}"}}}]
        api.patch(f"{RULES}/good-9", {"spec": {"http": answer}})
        time.sleep(max(0.0, begun + written * RETRIED_SECONDS / CHANGES - time.monotonic()))
    api.close()
    kubectl(mesh, "wait", "--for=condition=Live", "vs/good-9", "-n", "live", "--timeout=20s")
    assert answers(mesh)[9] == f"good-9-{written}"
    mesh.run("apply", "--wait", "-f", "-", stdin=rule("good-10", answering("good-10-is-newer")))
    history = json.loads(mesh.run("history", "vs/good-9", "-n", "live", "--limit", "1000", "-o", "json").stdout)
    assert len(history) > written
    assert [each for each in history[:written] if each["receipt"] is None or not each["receipt"]["live"]] == []
    mesh.eventually(lambda: not unnamed(mesh), "every culprit is still named", 30)
    mesh.run("delete", "vs", LATE, "-n", "live")


def test_a_new_control_plane_says_the_same_and_lets_no_poison_through(mesh: Mesh) -> None:
    def versions() -> dict[str, str]:
        names = objects(mesh, "vs,gateway,svc", "-l", "set in (good, gate)")
        return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in names}

    mesh.eventually(lambda: versions() == versions(), "nothing is written any more")
    before = versions()
    state = json.loads((mesh.data / "run" / "supervisor.json").read_text())
    os.kill(state["children"]["control-plane"]["pid"], 9)
    mesh.eventually(lambda: answered(mesh), "a new control plane answers")
    mesh.eventually(lambda: not unnamed(mesh), "every culprit is still named", 30)
    assert answers(mesh)[0] == "good-0"
    assert versions() == before
