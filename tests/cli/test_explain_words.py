"""What `explain` says in words: names outside, other names of them, and connections that have no method."""

from pathlib import Path

import pytest

from tests.cli.runner import run

DOCUMENTS = """
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {containers: [{name: app, image: curlimages/curl}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, labels: {app: db}}
spec: {containers: [{name: app, image: db:1, ports: [{containerPort: 3306}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{name: tcp-db, port: 3306}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop-api}
spec: {type: ExternalName, externalName: api.example.com}
"""


@pytest.fixture
def documents(tmp_path: Path) -> str:
    path = tmp_path / "all.yaml"
    path.write_text(DOCUMENTS)
    return str(path)


@pytest.mark.parametrize("host", ["shop-api", "shop-api.default", "shop-api.default.svc.cluster.local"])
def test_another_name_of_a_host_outside(documents: str, host: str) -> None:
    said = run("explain", "-f", documents, "--from", "caller", "--to", f"http://{host}/").stdout
    assert (
        f"{host}: it stands for api.example.com, which is no service of the mesh: that is looked up outside" in said
    )
    assert "Service default/shop-api" in said
    assert "did you mean" not in said


def test_a_name_that_nobody_has(documents: str) -> None:
    said = run("explain", "-f", documents, "--from", "caller", "--to", "http://shop-apu/").stdout
    assert "no service of the mesh has this name (did you mean shop-api?)" in said


def test_a_connection_has_no_method(documents: str) -> None:
    said = run("explain", "-f", documents, "--from", "caller", "--to", "tcp://db:3306").stdout
    assert said.startswith("tcp://db:3306 from caller.default: sent on to db.default.svc.cluster.local:3306")
    assert "  : " not in said
