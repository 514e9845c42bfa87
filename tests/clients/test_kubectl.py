"""What the unmodified kubectl does with this server; it is the judge, so nothing of it is imitated here."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.objects import config_map, deployment, service, virtual_service
from tests.apiserver.server import Running
from tests.clients.conftest import Kubectl

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "bookinfo"


def _text(*values: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(values)})


def _editor(kubectl: Kubectl, command: str) -> str:
    """A program that changes a file as a person would in an editor."""
    path = kubectl.home / f"editor-{len(list(kubectl.home.iterdir()))}"
    path.write_text(f"#!/bin/sh\nexec sed -i '{command}' \"$1\"\n")
    path.chmod(0o755)
    return str(path)


def _read(kubectl: Kubectl, *words: str) -> Any:
    return json.loads(kubectl("get", *words, "-o", "json"))


def test_versions_match_and_nothing_warns(kubectl: Kubectl) -> None:
    done = kubectl.run("version")
    assert "Server Version: v1.37.0+meshwright" in done.stdout
    assert done.stderr == ""


def test_api_resources(kubectl: Kubectl) -> None:
    table = kubectl("api-resources", "-o", "wide")
    assert re.search(r"virtualservices +vs +networking.istio.io/v1 +true +VirtualService .*istio-io", table)
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment .*all", table)
    assert "virtualservices" in kubectl("api-resources", "--categories=istio-io", "-o", "name")
    assert "networking.istio.io/v1alpha3" in kubectl("api-versions")


def test_apply_a_whole_application_twice(kubectl: Kubectl) -> None:
    files = [
        "platform/kube/bookinfo.yaml",
        "networking/bookinfo-gateway.yaml",
        "networking/destination-rule-all.yaml",
        "networking/virtual-service-all-v1.yaml",
    ]
    words = [word for name in files for word in ("-f", str(SAMPLES / name))]
    first = kubectl("apply", *words)
    assert "deployment.apps/reviews-v3 created" in first
    assert "virtualservice.networking.istio.io/reviews created" in first
    again = kubectl("apply", *words)
    assert {line.rpartition(" ")[2] for line in again.splitlines()} == {"unchanged"}
    assert "service/productpage" in kubectl("get", "all")
    assert "reviews" in kubectl("get", "istio-io")
    pruned = kubectl("delete", *words)
    assert pruned.count("deleted") == len(first.splitlines())


def test_apply_merges_with_what_others_changed(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=_text(deployment(), virtual_service()))
    kubectl("scale", "deploy/web", "--replicas=3")
    kubectl("apply", "-f", "-", text=_text(deployment(image="web:2"), virtual_service(subset="v2")))
    web = _read(kubectl, "deploy", "web")
    assert web["spec"]["replicas"] == 3
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    route = _read(kubectl, "vs", "reviews")["spec"]["http"][0]["route"][0]
    assert route["destination"]["subset"] == "v2"


def test_server_side_apply_with_a_conflict(kubectl: Kubectl) -> None:
    one = _text(virtual_service())
    two = _text(virtual_service(subset="v2"))
    words = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in kubectl(*words, text=one)
    fought = kubectl.run(*words, "--field-manager=other", text=two)
    assert fought.returncode == 1
    assert 'conflict with "kubectl": .spec.http' in fought.stderr
    kubectl(*words, "--field-manager=other", "--force-conflicts", text=two)
    managers = _read(kubectl, "vs", "reviews", "--show-managed-fields")["metadata"]["managedFields"]
    assert {entry["manager"] for entry in managers} == {"kubectl", "other"}


def test_server_side_apply_takes_over_from_client_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=_text(config_map("one", a="1", b="2")))
    kubectl("apply", "--server-side", "-f", "-", text=_text(config_map("one", a="1")))
    assert _read(kubectl, "cm", "one")["data"] == {"a": "1"}


def test_get_in_all_its_forms(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(deployment(), service(), virtual_service()))
    assert re.search(r"NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0/1 +0 +0 +\d+s", kubectl("get", "deploy"))
    wide = kubectl("get", "deploy", "-o", "wide")
    assert re.search(r"CONTAINERS +IMAGES +SELECTOR", wide)
    assert "web:1" in wide
    assert re.search(r'reviews +\["reviews"\]', kubectl("get", "vs"))
    assert "kind: VirtualService" in kubectl("get", "vs", "reviews", "-o", "yaml")
    assert _read(kubectl, "svc", "web")["spec"]["ports"][0]["targetPort"] == 80
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "1"
    assert kubectl("get", "vs", "-o", "name") == "virtualservice.networking.istio.io/reviews\n"
    assert kubectl("get", "svc", "-o", "custom-columns=N:.metadata.name", "--no-headers") == "web\n"
    assert "web" in kubectl("get", "svc", "--field-selector=metadata.name=web")
    assert kubectl("get", "svc", "-l", "no=such") == ""
    assert "PORT(S)" in kubectl("get", "svc", "-A", "--sort-by=.metadata.name")
    assert "reviews" in kubectl("get", "virtualservices.v1beta1.networking.istio.io")


def test_get_watches(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(deployment()))
    watching = kubectl.start("get", "deploy", "-w", "--output-watch-events")
    assert watching.stdout is not None
    try:
        lines = [watching.stdout.readline() for _ in range(2)]
        kubectl("scale", "deploy/web", "--replicas=2")
        lines.append(watching.stdout.readline())
        kubectl("delete", "deploy", "web")
        lines.append(watching.stdout.readline())
    finally:
        watching.terminate()
        watching.communicate(timeout=10)
    assert [line.split()[0] for line in lines] == ["EVENT", "ADDED", "MODIFIED", "DELETED"]
    assert [line.split()[2] for line in lines[1:]] == ["0/1", "0/2", "0/2"]


def test_explain(kubectl: Kubectl) -> None:
    assert "Number of desired pods" in kubectl("explain", "deployment.spec.replicas")
    route = kubectl("explain", "vs.spec.http.route", "--recursive")
    assert re.search(r"destination\s+<Object>", route)
    assert "GROUP:      networking.istio.io" in route
    assert "mode" in kubectl("explain", "peerauthentication.spec.mtls")


def test_diff(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=_text(virtual_service()))
    assert kubectl.run("diff", "-f", "-", text=_text(virtual_service())).returncode == 0
    differs = kubectl.run("diff", "-f", "-", text=_text(virtual_service(subset="v2")))
    assert differs.returncode == 1
    assert re.search(r"^-\s+subset: v1$", differs.stdout, re.MULTILINE)
    assert re.search(r"^\+\s+subset: v2$", differs.stdout, re.MULTILINE)
    changed = [line[1:].split(":")[0].strip() for line in differs.stdout.splitlines() if line[:1] in ("+", "-")]
    assert "resourceVersion" not in changed
    server = kubectl.run("diff", "--server-side", "-f", "-", text=_text(deployment()))
    assert server.returncode == 1
    assert _read(kubectl, "vs", "reviews")["metadata"]["generation"] == 1


def test_patches_of_three_kinds(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(deployment(), virtual_service()))
    kubectl("patch", "vs", "reviews", "--type=merge", "-p", '{"spec":{"hosts":["ratings"]}}')
    operations = '[{"op":"add","path":"/spec/hosts/-","value":"details"}]'
    kubectl("patch", "vs", "reviews", "--type=json", "-p", operations)
    assert _read(kubectl, "vs", "reviews")["spec"]["hosts"] == ["ratings", "details"]
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}'
    kubectl("patch", "deploy", "web", "-p", strategic)
    containers = _read(kubectl, "deploy", "web")["spec"]["template"]["spec"]["containers"]
    assert {item["name"] for item in containers} == {"web", "side"}
    status = '{"status":{"replicas":1,"readyReplicas":1}}'
    kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status)
    assert " 1/1 " in kubectl("get", "deploy", "web")


def test_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(config_map("a"), config_map("b")))
    kubectl("label", "cm", "--all", "team=x")
    assert kubectl("get", "cm", "-l", "team=x", "-o", "name").splitlines() == ["configmap/a", "configmap/b"]
    kubectl("label", "cm", "a", "team-")
    refused = kubectl.run("label", "cm", "b", "team=y")
    assert "--overwrite is false" in refused.stderr
    kubectl("annotate", "cm", "a", "note=words and more")
    assert _read(kubectl, "cm", "a")["metadata"]["annotations"] == {"note": "words and more"}


def test_edit_scale_and_set(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(deployment(), virtual_service()))
    assert "edited" in kubectl("edit", "vs", "reviews", KUBE_EDITOR=_editor(kubectl, "s/subset: v1/subset: v2/"))
    broken = kubectl.run("edit", "vs", "reviews", KUBE_EDITOR=_editor(kubectl, "s/subset: v2/subst: v2/"))
    assert broken.returncode == 1
    assert "did you mean `subset`?" in broken.stderr
    kubectl("scale", "deploy", "web", "--replicas=4", "--current-replicas=1")
    assert kubectl.run("scale", "deploy", "web", "--replicas=9", "--current-replicas=1").returncode == 1
    kubectl("set", "env", "deploy/web", "MODE=fast")
    kubectl("set", "image", "deploy/web", "web=web:3")
    web = _read(kubectl, "deploy", "web")["spec"]
    assert web["replicas"] == 4
    container = web["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("web:3", [{"name": "MODE", "value": "fast"}])


def test_wait_for_conditions_values_and_deletion(kubectl: Kubectl, server: Running) -> None:
    kubectl("create", "-f", "-", text=_text(virtual_service(), config_map("gone")))
    waiting = kubectl.start("wait", "vs/reviews", "--for=condition=Live", "--timeout=20s")
    leaving = kubectl.start("wait", "cm/gone", "--for=delete", "--timeout=20s")
    where = f"/apis/networking.istio.io/v1/namespaces/{kubectl.namespace}/virtualservices/reviews/status"
    condition = {"type": "Live", "status": "True", "reason": "EveryProxy", "message": "4/4"}
    server.admin.must(server.admin.merge(where, {"status": {"conditions": [condition]}}))
    kubectl("delete", "cm", "gone")
    assert "condition met" in waiting.communicate(timeout=25)[0]
    assert leaving.wait(25) == 0
    leaving.communicate()
    assert "True" in kubectl("get", "vs", "-o", "wide")
    kubectl("wait", "vs/reviews", "--for=jsonpath={.spec.hosts[0]}=reviews", "--timeout=5s")
    assert kubectl.run("wait", "vs/reviews", "--for=condition=Never", "--timeout=1s").returncode == 1


def test_create_with_typed_clients(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=1", "--from-literal=empty=")
    kubectl("create", "secret", "generic", "s", "--from-literal=p=q")
    kubectl("create", "serviceaccount", "me")
    kubectl("create", "deployment", "d", "--image=img:1", "--replicas=0", "--port=80")
    kubectl("create", "service", "clusterip", "svc", "--tcp=80:8080")
    kubectl("run", "alone", "--image=img:1", "--env=A=B")
    kubectl("expose", "deployment", "d", "--port=81", "--target-port=http")
    assert _read(kubectl, "cm", "c")["data"] == {"a": "1", "empty": ""}
    assert _read(kubectl, "secret", "s")["data"] == {"p": "cQ=="}
    made = _read(kubectl, "deploy", "d")["spec"]
    assert made["replicas"] == 0
    assert made["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert _read(kubectl, "svc", "svc")["spec"]["ports"][0]["targetPort"] == 8080
    assert _read(kubectl, "svc", "d")["spec"]["ports"][0]["targetPort"] == "http"
    assert "Pending" in kubectl("get", "pods")


def test_namespaces(kubectl: Kubectl) -> None:
    name = f"{kubectl.namespace}-extra"
    kubectl("create", "namespace", name)
    assert re.search(rf"{name} +Active", kubectl("get", "namespaces"))
    assert re.search(r"Status: +Active", kubectl("describe", "namespace", name))
    kubectl("delete", "namespace", name)
    assert "NotFound" in kubectl.run("get", "namespace", name).stderr


def test_describe(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(deployment(), service(), virtual_service(), config_map("c", k="v")))
    assert re.search(r"Image: +web:1", kubectl("describe", "deploy", "web"))
    assert re.search(r"TargetPort: +80/TCP", kubectl("describe", "svc", "web"))
    assert re.search(r"Subset: +v1", kubectl("describe", "vs", "reviews"))
    assert "k:\n----\nv" in kubectl("describe", "cm", "c")


def test_delete_in_many_ways(kubectl: Kubectl) -> None:
    names = ("a", "b", "c", "d")
    kubectl("create", "-f", "-", text=_text(*(config_map(name) for name in names)))
    kubectl("label", "cm", "b", "c", "old=yes")
    assert kubectl("delete", "cm", "a", "-o", "name") == "configmap/a\n"
    kubectl("delete", "cm", "-l", "old=yes")
    assert kubectl("get", "cm", "-o", "name") == "configmap/d\n"
    kubectl("delete", "cm", "d", "--dry-run=server")
    kubectl("delete", "cm", "--all")
    assert "NotFound" in kubectl.run("delete", "cm", "d").stderr
    kubectl("delete", "cm", "d", "--ignore-not-found")


def test_may_i(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "virtualservices") == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "meshwright-admin" in kubectl("auth", "whoami")
    refused = kubectl.run("auth", "can-i", "delete", "pods", "--token=reader", "--namespace=default")
    assert (refused.stdout, refused.returncode) == ("no\n", 1)
    assert "Forbidden" in kubectl.run("delete", "cm", "x", "--token=reader").stderr
    assert kubectl.run("get", "cm", "--token=wrong").returncode == 1


@pytest.mark.parametrize("words", [("apply",), ("apply", "--server-side"), ("create",)])
def test_mistakes_are_told_in_words(kubectl: Kubectl, words: tuple[str, ...]) -> None:
    value = virtual_service()
    value["spec"]["htp"] = []
    unknown = kubectl.run(*words, "-f", "-", text=_text(value))
    assert unknown.returncode == 1
    assert 'unknown field "spec.htp"' in unknown.stderr
    value = virtual_service()
    value["spec"]["http"][0]["timeout"] = "soon"
    value["spec"]["http"][0]["route"][0]["weight"] = -1
    wrong = kubectl.run(*words, "-f", "-", text=_text(value))
    assert "spec.http[0].timeout" in wrong.stderr
    assert "spec.http[0].route[0].weight" in wrong.stderr


def test_warnings_are_shown(kubectl: Kubectl) -> None:
    value = virtual_service()
    value["spec"]["http"][0]["fault"] = {"abort": {"httpStatus": 503}}
    done = kubectl.run("apply", "-f", "-", text=_text(value))
    assert done.returncode == 0
    assert "Warning: spec.http[0].fault.abort" in done.stderr


def test_replace_and_raw(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=_text(config_map("one", a="1")))
    kubectl("replace", "-f", "-", text=_text(config_map("one", b="2")))
    assert _read(kubectl, "cm", "one")["data"] == {"b": "2"}
    kubectl("replace", "--force", "-f", "-", text=_text(config_map("one", c="3")))
    assert _read(kubectl, "cm", "one")["data"] == {"c": "3"}
    assert kubectl("get", "--raw", "/readyz") == "ok"
