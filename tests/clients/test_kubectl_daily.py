"""What people do with kubectl every day, beyond the verbs themselves: forms of output, folders, pruning, exposing."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Kubectl

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  labels: {{set: x}}
data: {{k: v}}
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
spec:
  hosts: [web]
  http:
  - route:
    - destination: {host: web}
"""
SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1"}]}
"""


def test_services_show_their_address(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=web:1")
    kubectl("expose", "deployment", "web", "--port=80", "--target-port=8000")
    kubectl("create", "service", "clusterip", "quiet", "--clusterip=None", "--tcp=80")
    kubectl("create", "service", "externalname", "far", "--external-name=example.com")
    kubectl("create", "service", "loadbalancer", "wide", "--tcp=80:8000")
    lines = kubectl("get", "services", "--no-headers").splitlines()
    shown = {name: (kind, address) for name, kind, address, *_ in map(str.split, lines)}
    assert shown["quiet"] == ("ClusterIP", "None")
    assert shown["far"] == ("ExternalName", "<none>")
    assert shown["wide"][0] == "LoadBalancer"
    address = kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert shown["web"] == ("ClusterIP", address)
    assert f"IP:                       {address}" in kubectl("describe", "service", "web")


def test_a_scale_is_shown_and_written(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    lines = kubectl("get", "deploy", "web", "--subresource=scale").splitlines()
    assert lines[0].split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert lines[1].split()[:3] == ["web", "2", "0"]
    kubectl("patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    assert kubectl("get", "deploy", "web", "--subresource=scale", "-o", "jsonpath={.spec.replicas}") == "3"


def test_forms_of_output(kubectl: Kubectl) -> None:
    for name in ("b", "a"):
        kubectl("create", "configmap", name, f"--from-literal=k={name}")
    assert kubectl("get", "cm", "-o", "jsonpath={.items[*].data.k}") == "a b"
    columns = "custom-columns=NAME:.metadata.name,K:.data.k"
    assert kubectl("get", "cm", "-o", columns).split() == ["NAME", "K", "a", "a", "b", "b"]
    template = "{{range .items}}{{.metadata.name}};{{end}}"
    assert kubectl("get", "cm", "-o", f"go-template={template}") == "a;b;"
    listed = kubectl("get", "cm", "--sort-by=.metadata.creationTimestamp", "-o", "name").split()
    assert sorted(listed) == ["configmap/a", "configmap/b"]
    assert kubectl("get", "cm", "--sort-by={.data.k}", "--no-headers").split()[0] == "a"
    assert json.loads(kubectl("get", "cm", "a", "-o", "json"))["data"] == {"k": "a"}
    assert "k: a" in kubectl("get", "cm", "a", "-o", "yaml")


def test_a_kustomization_is_applied_compared_and_deleted(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(ROUTE)
    (tmp_path / "kustomization.yaml").write_text(
        "namePrefix: pre-\nresources: [web.yaml]\nconfigMapGenerator: [{name: conf, literals: [a=b]}]\n"
    )
    folder = str(tmp_path)
    assert "virtualservice.networking.istio.io/pre-web created" in kubectl("apply", "-k", folder)
    assert kubectl("diff", "-k", folder) == ""
    assert "created" not in kubectl("apply", "-k", folder)
    kubectl("apply", "-k", folder, "--server-side", "--force-conflicts")
    kubectl("delete", "-k", folder)
    assert kubectl("get", "vs,cm", "-o", "name") == ""


def test_what_is_no_longer_in_a_file_is_pruned(kubectl: Kubectl) -> None:
    both, one = CONFIG.format(name="a") + "---" + CONFIG.format(name="b"), CONFIG.format(name="a")
    kubectl("apply", "-f", "-", text=both)
    prune = ("apply", "-f", "-", "--prune", "-l", "set=x", "--prune-allowlist=core/v1/ConfigMap")
    assert "configmap/b pruned" in kubectl(*prune, text=one)
    assert kubectl("get", "cm", "-o", "name").split() == ["configmap/a"]


def test_replacing_by_force_makes_another_object(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", text=CONFIG.format(name="a"))
    before = kubectl("get", "cm", "a", "-o", "jsonpath={.metadata.uid}")
    kubectl("replace", "--force", "-f", "-", text=CONFIG.format(name="a"))
    assert kubectl("get", "cm", "a", "-o", "jsonpath={.metadata.uid}") != before


def test_differences_by_the_server(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", text=CONFIG.format(name="a"))
    done = kubectl.run("diff", "--server-side", "-f", "-", text=CONFIG.format(name="a").replace("k: v", "k: w"))
    assert done.returncode == 1, done.stderr
    assert "-  k: v" in done.stdout
    assert "+  k: w" in done.stdout


def test_about_the_cluster(kubectl: Kubectl) -> None:
    assert "control plane" in kubectl("cluster-info")
    assert {"v1", "apps/v1", "networking.istio.io/v1"} <= set(kubectl("api-versions").split())
    assert "[+]store ok" in kubectl("get", "--raw", "/readyz?verbose")
    assert kubectl("get", "--raw", "/livez") == "ok"
    assert '"gitVersion"' in kubectl("get", "--raw", "/version")
    assert "deployments" in kubectl("api-resources", "--categories=all", "-o", "name")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("top", "pods"), "Metrics API not available"),
        (("autoscale", "deployment", "web", "--max=3", "--cpu=80%"), "could not find the requested resource"),
        (("create", "job", "j", "--image=x"), "could not find the requested resource"),
        (("get", "ingress"), "doesn't have a resource type"),
    ],
)
def test_what_is_not_there_is_told(kubectl: Kubectl, words: tuple[str, ...], told: str) -> None:
    kubectl("create", "deployment", "web", "--image=web:1")
    done = kubectl.run(*words)
    assert done.returncode != 0
    assert told in done.stderr


def test_asking_for_another_is_answered_for_that_one(kubectl: Kubectl) -> None:
    account = f"--as=system:serviceaccount:{kubectl.namespace}:robot"
    assert kubectl("auth", "can-i", "delete", "pods").strip() == "yes"
    assert kubectl.run("auth", "can-i", "delete", "pods", account).stdout.strip() == "no"
    done = kubectl.run("get", "secrets", "--as=bob")
    assert done.returncode == 1
    assert 'User "bob" cannot list resource "secrets"' in done.stderr


def test_what_kubectl_debug_needs_is_refused_without_a_crash(kubectl: Kubectl) -> None:
    kubectl("run", "web", "--image=web:1")
    done = kubectl.run("debug", "web", "--image=busybox", "--", "true")
    assert done.returncode == 1, done.stderr
    assert "ephemeral containers are disabled" in done.stderr
    assert "pods have no ephemeralcontainers in this mesh" in done.stderr


def test_a_cordoned_node_says_so(kubectl: Kubectl) -> None:
    name = f"node-of-{kubectl.namespace}"
    kubectl("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))
    assert "cordoned" in kubectl("cordon", name)
    assert kubectl("get", "node", name, "--no-headers").split()[1] == "Unknown,SchedulingDisabled"
    assert "uncordoned" in kubectl("uncordon", name)
    assert kubectl("get", "node", name, "--no-headers").split()[1] == "Unknown"


def test_a_json_patch_that_does_not_fit_says_why(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "a")
    done = kubectl.run("patch", "cm", "a", "--type=json", "-p", '[{"op":"remove","path":"/data/zz"}]')
    assert done.returncode == 1
    assert 'patch does not fit configmaps "a": operation 0 (remove): there is no' in done.stderr
    assert ": :" not in done.stderr


def test_stateful_sets_have_the_fields_that_rollouts_read(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=SET)
    strategy = json.loads(kubectl("get", "sts", "db", "-o", "jsonpath={.spec.updateStrategy}"))
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "db-1",
            "labels": {"app": "db"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "StatefulSet",
                    "name": "db",
                    "uid": kubectl("get", "sts", "db", "-o", "jsonpath={.metadata.uid}"),
                    "controller": True,
                }
            ],
        },
        "data": {
            "spec": {
                "template": {
                    "$patch": "replace",
                    "metadata": {"labels": {"app": "db"}},
                    "spec": {"containers": [{"name": "db", "image": "db:0"}]},
                }
            }
        },
        "revision": 1,
    }
    kubectl("create", "-f", "-", text=json.dumps(revision))
    assert "db:0" in kubectl("rollout", "history", "sts/db", "--revision=1")
    kubectl("rollout", "undo", "sts/db", "--to-revision=1")
    assert kubectl("get", "sts", "db", "-o", "jsonpath={..containers[*].image}") == "db:0"
