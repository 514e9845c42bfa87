"""The living mesh: the real kubectl and the command line change it, receipts say when, undo takes it back."""

import json

from tests.live.kubectl import Kubectl, kubectl
from tests.live.mesh import Mesh, apply, echo_service

FRESH = (
    echo_service("fresh")
    + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: fresh, namespace: live}
spec:
  hosts: [fresh]
  http:
  - directResponse: {status: 418, body: {string: TEXT}}
"""
)


def test_after_the_receipt_no_request_is_served_by_the_old_rule(mesh: Mesh) -> None:
    for body in ("first", "second", "third"):
        apply(mesh, FRESH.replace("TEXT", body))
        answers = mesh.ask("http://fresh:8000/", count=200)
        assert {answer.body for answer in answers} == {body}


def test_undo_brings_the_rule_before_back(mesh: Mesh) -> None:
    apply(mesh, FRESH.replace("TEXT", "good"))
    apply(mesh, FRESH.replace("TEXT", "bad"))
    assert mesh.one("http://fresh:8000/").body == "bad"
    said = mesh.run("undo", "--wait").stdout
    assert "VirtualService live/fresh configured" in said
    assert "live on" in said
    assert mesh.one("http://fresh:8000/").body == "good"


def test_kubectl_changes_the_mesh(mesh: Mesh) -> None:
    said = kubectl(mesh, "apply", "-f", "-", stdin=FRESH.replace("TEXT", "kubectl"))
    assert "virtualservice.networking.istio.io/fresh" in said
    mesh.eventually(lambda: mesh.one("http://fresh:8000/").body == "kubectl", "the rule is in force")
    patch = json.dumps([{"op": "replace", "path": "/spec/http/0/directResponse/status", "value": 503}])
    kubectl(mesh, "patch", "vs", "fresh", "-n", "live", "--type", "json", "-p", patch)
    mesh.eventually(lambda: mesh.one("http://fresh:8000/").status == 503, "the patch is in force")
    history = json.loads(mesh.run("history", "VirtualService/fresh", "-n", "live", "-o", "json").stdout)
    assert history[0]["receipt"]["live"]
    kubectl(mesh, "delete", "vs", "fresh", "-n", "live")
    mesh.eventually(lambda: mesh.one("http://fresh:8000/").status == 200, "the service answers itself")


def test_a_mistake_changes_nothing_and_is_told_with_its_line(mesh: Mesh) -> None:
    apply(mesh, FRESH.replace("TEXT", "kept"))
    broken = FRESH.replace("TEXT", "lost").replace("directResponse", "directResponce")
    done = mesh.run("apply", "-f", "-", check=False, stdin=broken)
    assert done.returncode == 1
    assert "<stdin>:" in done.stderr
    assert "directResponse" in done.stderr
    assert mesh.one("http://fresh:8000/").body == "kept"
    refused = Kubectl(mesh, "live").run("apply", "-f", "-", text=broken)
    assert refused.returncode != 0
    assert mesh.one("http://fresh:8000/").body == "kept"


def test_diff_shows_what_a_change_did(mesh: Mesh) -> None:
    before = apply(mesh, FRESH.replace("TEXT", "old words"))["change"]
    if before is None:
        before = json.loads(mesh.run("history", "-o", "json").stdout)[0]["number"]
    apply(mesh, FRESH.replace("TEXT", "new words"))
    said = mesh.run("diff", str(before)).stdout
    assert "-        string: old words" in said
    assert "+        string: new words" in said


def test_undo_means_the_last_change_of_a_person_not_what_controllers_made_of_it(mesh: Mesh) -> None:
    apply(mesh, "{apiVersion: v1, kind: Namespace, metadata: {name: short-lived}}")
    newest = ("history", "--limit", "1")
    mesh.eventually(lambda: "controller/" in mesh.run(*newest, "--all").stdout, "its ServiceAccount was made")
    assert "Namespace short-lived" in mesh.run(*newest).stdout
    assert "Namespace short-lived deleted" in mesh.run("undo").stdout
