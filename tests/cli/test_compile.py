"""`meshwright compile`: the contract of its JSON, its inputs, and a bootstrap that the real Envoy accepts."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from meshwright.wiring.envoy_binary import envoy_path
from tests.cli.runner import MESHWRIGHT, ROOT, run

BOOKINFO = "samples/bookinfo/platform/kube/bookinfo.yaml"
GATEWAY = "samples/bookinfo/networking/bookinfo-gateway.yaml"
INGRESS = "src/meshwright/wiring/profiles/default.yaml"
ALL = ("-f", BOOKINFO, "-f", GATEWAY, "-f", INGRESS)


def test_json_has_the_contracts_keys() -> None:
    done = run("compile", *ALL, "--proxy", "productpage-v1.default", "-o", "json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert set(made) == {"listeners", "clusters", "routes", "endpoints", "secrets", "diagnostics"}
    assert made["diagnostics"] == []
    assert {"default", "ROOTCA"} <= set(made["secrets"])
    routes = next(each for each in made["routes"] if each["name"] == "9080")
    hosts = {host["name"]: host for host in routes["virtual_hosts"]}
    assert "reviews.default.svc.cluster.local" in hosts["reviews.default.svc.cluster.local:9080"]["domains"]


def test_yaml_is_the_same() -> None:
    words = ("compile", *ALL, "--proxy", "productpage-v1.default", "--type", "clusters", "-o")
    assert yaml.safe_load(run(*words, "yaml").stdout) == json.loads(run(*words, "json").stdout)


@pytest.mark.parametrize("proxy", ["reviews-v3.default", "deploy/istio-ingressgateway.istio-system"])
def test_the_bootstrap_is_accepted_by_envoy(proxy: str, tmp_path: Path) -> None:
    done = run("compile", *ALL, "--proxy", proxy, "--bootstrap")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "bootstrap.json"
    file.write_text(done.stdout)
    verdict = subprocess.run(
        [envoy_path(), "--mode", "validate", "-c", file, "--log-level", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stderr


def test_a_list_of_a_cluster_through_a_pipe() -> None:
    documents = [
        each for name in (BOOKINFO, GATEWAY) for each in yaml.safe_load_all((ROOT / name).read_text()) if each
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "ratings-v1-7d9c4-x2x4z",
            "namespace": "default",
            "uid": "0d1c",
            "resourceVersion": "17",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"app": "ratings", "version": "v1", "pod-template-hash": "7d9c4"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "ratings-v1-7d9c4", "apiVersion": "apps/v1", "uid": "1"}
            ],
        },
        "spec": {"containers": [{"name": "ratings", "image": "x", "ports": [{"containerPort": 9080}]}]},
        "status": {"phase": "Running", "podIP": "10.1.2.3"},
    }
    text = json.dumps(
        {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [*documents, pod]}
    )
    done = run("compile", "-f", "-", "--proxy", "ratings-v1-7d9c4-x2x4z.default", stdin=text)
    assert done.returncode == 0, done.stderr
    [members] = [
        e for e in json.loads(done.stdout)["endpoints"] if e["cluster_name"].startswith("outbound|9080||ratings.")
    ]
    [member] = members["endpoints"][0]["lb_endpoints"]
    assert member["endpoint"]["address"]["socket_address"] == {"address": "10.1.2.3", "port_value": 9080}


def test_equal_proxies_have_one_class() -> None:
    done = run("compile", *ALL, "--proxy", "reviews-v1.default", "--explain-class")
    assert done.returncode == 0
    assert "inbound: 9080 HTTP PERMISSIVE" in done.stdout
    assert "reviews-v3" in done.stdout


def test_an_unknown_proxy_names_those_there_are() -> None:
    done = run("compile", *ALL, "--proxy", "nobody.default")
    assert done.returncode == 2
    assert "productpage-v1" in done.stderr


@pytest.mark.parametrize("words", [(), ("-f", "no/such/file.yaml"), ("-f", "src/meshwright/xds")])
def test_paths_that_lead_nowhere(words: tuple[str, ...]) -> None:
    done = run("compile", *words, "--proxy", "x")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_refused_object_is_told_and_the_rest_is_compiled() -> None:
    broken = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: x\nspec:\n  hostz: [reviews]\n"
    )
    done = run("compile", "-f", BOOKINFO, "-f", "-", "--proxy", "reviews-v1.default", stdin=broken)
    assert done.returncode == 1
    assert "<stdin>:6: VirtualService default/x spec.hostz" in done.stderr
    assert "hosts" in done.stderr
    found = json.loads(done.stdout)["diagnostics"]
    assert found[0]["object"] == {"kind": "VirtualService", "namespace": "default", "name": "x"}
    assert (found[0]["line"], found[0]["effect"]) == (6, "refused")


def test_no_privilege_is_needed() -> None:
    """As nobody, with a home and a place of its own."""
    if not shutil.which("setpriv"):
        pytest.fail("setpriv (util-linux) is missing")
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    program = str(MESHWRIGHT)
    done = subprocess.run(
        [*words, program, "compile", *ALL, "--proxy", "reviews-v1.default", "--type", "clusters"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    assert "outbound|9080||reviews" in done.stdout
