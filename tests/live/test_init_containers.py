"""Init containers with kubectl on a real mesh: what they reach and what is shown; and pods that have ended."""

import json
import sys
from typing import Any

import yaml

from tests.live.kubectl import kubectl
from tests.live.mesh import Mesh, apply

ASK = "import urllib.request as u; print(u.urlopen('http://echo:8000/', timeout=20).status)"
WRITE = "until [ -e /shared/go ]; do sleep 0.1; done; echo made > /shared/file"
MOUNTS = [{"name": "shared", "mountPath": "/shared"}]
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "prepared", "namespace": "live"},
    "spec": {
        "restartPolicy": "Never",
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            {"name": "asks", "image": "python", "command": [sys.executable, "-c", ASK]},
            {"name": "writes", "image": "python", "command": ["sh", "-c", WRITE], "volumeMounts": MOUNTS},
        ],
        "containers": [
            {"name": "app", "image": "python", "command": ["cat", "/shared/file"], "volumeMounts": MOUNTS},
        ],
    },
}
RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "for-all", "namespace": "live"},
    "spec": {"hosts": ["for-all.example.com"], "http": [{"directResponse": {"status": 200}}]},
}


def of_pod(mesh: Mesh, *words: str) -> str:
    return kubectl(mesh, *words, "-n", "live")


def row(mesh: Mesh) -> list[str]:
    """The pod as `kubectl get pods` shows it, without its age."""
    return of_pod(mesh, "get", "pod", "prepared", "--no-headers").split()[:4]


def test_they_run_first_and_inside_the_mesh_and_a_pod_that_has_ended_is_not_waited_for(mesh: Mesh) -> None:
    apply(mesh, yaml.safe_dump(POD))
    try:
        mesh.eventually(lambda: row(mesh)[2] == "Init:1/2", "the second one runs", 60)
        assert row(mesh) == ["prepared", "1/2", "Init:1/2", "0"], "its Envoy is ready"
        assert of_pod(mesh, "logs", "prepared", "-c", "asks") == "200\n"
        status = json.loads(of_pod(mesh, "get", "pod", "prepared", "-o", "json"))["status"]
        assert status["phase"] == "Pending"
        assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
        assert [each["name"] for each in status["initContainerStatuses"]] == ["istio-proxy", "asks", "writes"]
        told = next(each for each in status["conditions"] if each["type"] == "Initialized")
        assert told["message"] == "containers with incomplete status: [writes]"
        kubectl(mesh, "exec", "prepared", "-n", "live", "-c", "writes", "--", "touch", "/shared/go")
        mesh.eventually(lambda: row(mesh)[2] == "Completed", "it is done", 60)
        assert of_pod(mesh, "logs", "prepared", "-c", "app") == "made\n"
        assert "prepared" not in mesh.run("proxy-status").stdout
        answer = mesh.run("apply", "-f", "-", "--wait", "-o", "json", stdin=yaml.safe_dump(RULE)).stdout
        receipt = json.loads(answer)["receipt"]
        assert (receipt["live"], receipt["absent"]) == (True, [])
    finally:
        kubectl(mesh, "delete", "pod", "prepared", "-n", "live")
        kubectl(mesh, "delete", "virtualservice", "for-all", "-n", "live", "--ignore-not-found")
