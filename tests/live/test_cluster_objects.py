"""What the object API shows of Services and StatefulSets is what the mesh does, on real pods."""

import json
import sys
from collections.abc import Iterator

import pytest

from tests.live.kubectl import Kubectl
from tests.live.mesh import Mesh

SET = """
apiVersion: v1
kind: Service
metadata: {name: pair}
spec:
  selector: {app: pair}
  ports: [{name: http, port: 80, targetPort: 8000}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pair}
spec:
  replicas: 2
  serviceName: pair
  selector: {matchLabels: {app: pair}}
  template:
    metadata: {labels: {app: pair}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: pair
        image: example/pair
        command: [PYTHON, PROGRAMS/echo.py, "8000"]
        env: [{name: VERSION, value: v1}]
        ports: [{containerPort: 8000}]
        readinessProbe: {httpGet: {path: /counts, port: 8000}}
"""


@pytest.fixture(scope="module")
def kubectl(mesh: Mesh) -> Iterator[Kubectl]:
    made = Kubectl(mesh, "pair")
    made("create", "namespace", "pair")
    made("apply", "-f", "-", text=SET.replace("PYTHON", sys.executable).replace("PROGRAMS", str(mesh.programs)))
    made("rollout", "status", "sts/pair", "--timeout=60s")
    yield made
    made("delete", "namespace", "pair", "--timeout=60s")


def address(kubectl: Kubectl, name: str) -> str:
    return kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


def test_the_mesh_answers_at_the_address_that_a_service_shows(kubectl: Kubectl) -> None:
    mesh, shown = kubectl.mesh, address(kubectl, "pair")
    assert shown in kubectl("get", "service", "pair")
    mesh.eventually(lambda: mesh.one(f"http://{shown}/").version == "v1", "the address leads to the pods")
    found = f"import socket; print(socket.gethostbyname('pair.{kubectl.namespace}'))"
    assert mesh.exec("deploy/client.live", sys.executable, "-c", found).stdout.strip() == shown


def test_a_service_that_comes_back_has_its_address_again(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "again", "--tcp=80:8000")
    first = address(kubectl, "again")
    kubectl("delete", "service", "again")
    kubectl("create", "service", "clusterip", "again", "--tcp=80:8000")
    assert address(kubectl, "again") == first
    other = kubectl.run("create", "service", "clusterip", "other", "--tcp=80", f"--clusterip={first}")
    assert b"already allocated" in other.stderr


def test_a_stateful_set_goes_back_to_what_it_was(kubectl: Kubectl) -> None:
    def versions() -> set[str]:
        pods = json.loads(kubectl("get", "pods", "-l", "app=pair", "-o", "json"))["items"]
        return {each["value"] for pod in pods for each in pod["spec"]["containers"][0]["env"]}

    kubectl("set", "env", "sts/pair", "VERSION=v2")
    kubectl("rollout", "status", "sts/pair", "--timeout=60s")
    assert versions() == {"v2"}
    assert kubectl("rollout", "history", "sts/pair").split()[-4::2] == ["1", "2"]
    kubectl("rollout", "undo", "sts/pair")
    kubectl("rollout", "status", "sts/pair", "--timeout=60s")
    assert versions() == {"v1"}


def test_endpoints_and_slices_name_the_pods(kubectl: Kubectl) -> None:
    pods = json.loads(kubectl("get", "pods", "-l", "app=pair", "-o", "json"))["items"]
    ips = {pod["status"]["podIP"] for pod in pods}
    kubectl.mesh.eventually(
        lambda: all(f"{ip}:8000" in kubectl("get", "endpoints", "pair") for ip in ips), "endpoints follow"
    )
    assert all(ip in kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=pair") for ip in ips)
