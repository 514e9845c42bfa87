"""What stands on objects: kubectl and `meshwright wait` see when one is live, and what is wrong with it if not."""

import json

from tests.live.kubectl import kubectl
from tests.live.mesh import Mesh, echo_service

RULE = (
    echo_service("standing")
    + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: standing, namespace: live}
spec:
  hosts: [standing]
  http:
  - directResponse: {status: 200, body: {string: TEXT}}
"""
)
SUBSET = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: standing, namespace: live}
spec:
  hosts: [standing]
  http:
  - route: [{destination: {host: standing, subset: v9}}]
"""


def waited(mesh: Mesh, *words: str) -> tuple[int, str]:
    done = mesh.run("wait", *words, check=False)
    return done.returncode, done.stdout + done.stderr


def test_an_object_is_live_when_requests_meet_it(mesh: Mesh) -> None:
    for text in ("one", "two"):
        kubectl(mesh, "apply", "-f", "-", stdin=RULE.replace("TEXT", text))
        kubectl(mesh, "wait", "--for=condition=Live", "vs/standing", "-n", "live", "--timeout=20s")
        assert mesh.one("http://standing:8000/").body == text
    code, said = waited(mesh, "virtualservice/standing", "-n", "live", "--timeout", "20s")
    assert code == 0
    assert "VirtualService live/standing: live on " in said


def test_what_is_wrong_with_an_object_stands_on_it_until_it_is_cured(mesh: Mesh) -> None:
    kubectl(mesh, "apply", "-f", "-", stdin=RULE.replace("TEXT", "fine"))
    kubectl(mesh, "apply", "-f", "-", stdin=SUBSET)
    code, said = waited(mesh, "vs/standing", "-n", "live", "--timeout", "1s")
    assert code == 1
    assert "spec.http[0].route[0].destination.subset: no DestinationRule defines subset v9" in said
    mesh.eventually(lambda: "MW0102" in kubectl(mesh, "describe", "vs", "standing", "-n", "live"), "it is told")
    kubectl(mesh, "apply", "-f", "-", stdin=RULE.replace("TEXT", "cured"))
    code, said = waited(mesh, "vs/standing", "-n", "live", "--timeout", "20s", "-o", "json")
    assert code == 0
    assert json.loads(said)["findings"] == []


def test_exit_codes_of_wait(mesh: Mesh) -> None:
    assert waited(mesh, "vs/nobody", "-n", "live", "--timeout", "1s")[0] == 1
    assert waited(mesh, "cm/client", "-n", "live")[0] == 2
    assert waited(mesh, "vs/standing", "--timeout", "soon")[0] == 2
    assert waited(mesh, "vs")[0] == 2
