"""Discovery, schemas, who may do what, strictness, and bodies that make no sense."""

import contextlib
import json
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

from meshwright.apiserver.access import keep_token
from meshwright.apiserver.resources import standard_catalogue
from meshwright.apiserver.schemas import load
from tests.apiserver.objects import (
    config_map,
    config_maps,
    deployment,
    deployments,
    virtual_service,
    virtual_services,
)
from tests.apiserver.server import Client, Running

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


# ------------------------------------------------------------ discovery and schemas
def test_health_and_version_need_no_token(server: Running) -> None:
    nobody = Client(server.port, "", server.tls)
    for path in ("/healthz", "/livez", "/readyz"):
        assert (nobody.get(path).status, nobody.get(path).text) == (200, b"ok")
    assert nobody.get("/version").json["minor"] == "37"


def test_groups_and_resources(admin: Client) -> None:
    assert admin.get("/api").json["versions"] == ["v1"]
    groups = {group["name"]: group for group in admin.get("/apis").json["groups"]}
    istio = groups["networking.istio.io"]
    assert [version["version"] for version in istio["versions"]] == ["v1", "v1beta1", "v1alpha3"]
    assert istio["preferredVersion"]["version"] == "v1"
    assert admin.get("/apis/apps").json["kind"] == "APIGroup"
    found = {item["name"]: item for item in admin.get("/apis/apps/v1").json["resources"]}
    assert found["deployments"]["shortNames"] == ["deploy"]
    assert found["deployments"]["categories"] == ["all"]
    assert found["deployments"]["namespaced"] is True
    assert "watch" in found["deployments"]["verbs"]
    assert found["deployments/scale"]["kind"] == "Scale"
    assert found["deployments/status"]["verbs"] == ["get", "patch", "update"]
    assert admin.get("/apis/none").status == 404
    assert admin.get("/apis/apps/v9").status == 404


def test_discovery_all_at_once(admin: Client) -> None:
    answer = admin.get("/apis", Accept=DISCOVERY)
    assert "APIGroupDiscoveryList" in (answer.headers["Content-Type"] or "")
    plain = {group["name"] for group in admin.get("/apis").json["groups"]}
    assert {item["metadata"]["name"] for item in answer.json["items"]} == plain
    core = admin.get("/api", Accept=DISCOVERY).json["items"][0]["versions"][0]["resources"]
    assert {"pods", "services", "namespaces", "events", "nodes"} <= {item["resource"] for item in core}


def test_every_kind_has_a_schema(admin: Client) -> None:
    paths = admin.get("/openapi/v3").json["paths"]
    for row in standard_catalogue().rows:
        for version in row.versions:
            root = f"apis/{row.group}/{version}" if row.group else f"api/{version}"
            document = admin.get(paths[root]["serverRelativeURL"]).json
            mark = {"group": row.group, "version": version, "kind": row.kind}
            marked = [s for s in document["components"]["schemas"].values()
                      if mark in s.get("x-kubernetes-group-version-kind", [])]  # fmt: skip
            assert len(marked) == 1, mark
            assert marked[0]["properties"]["metadata"]
            place = "/namespaces/{namespace}" if row.namespaced else ""
            patch = document["paths"][f"/{root}{place}/{row.plural}/{{name}}"]["patch"]
            assert {"dryRun", "fieldValidation"} <= {item["name"] for item in patch["parameters"]}


def test_references_of_schemas_lead_somewhere() -> None:
    schemas = load(standard_catalogue().rows).definitions
    text = json.dumps(schemas)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= schemas.keys()


# ------------------------------------------------------------ who may do what
@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic abc", "Bearer", "bearer \x80"])
def test_without_a_known_token_everything_is_401(server: Running, header: str) -> None:
    nobody = Client(server.port, "", server.tls)
    for path in ("/api", "/apis", "/openapi/v3", config_maps("default"), "/api/v1/nothing"):
        answer = nobody.get(path, Authorization=header)
        assert answer.status == 401
        assert answer.json["reason"] == "Unauthorized"


def test_a_user_who_may_not_gets_403_before_anything_else(admin: Client, reader: Client, namespace: str) -> None:
    assert reader.get(config_maps("default")).status == 200
    answer = reader.post(config_maps("default"), b"no json at all")
    assert answer.status == 403
    assert answer.json["reason"] == "Forbidden"
    assert 'User "reader" cannot create resource "configmaps" in API group ""' in answer.json["message"]
    admin.must(admin.post(config_maps(namespace), config_map()))
    for attempt in (
        reader.get(config_maps(namespace, "one")),
        reader.get("/api/v1/configmaps"),
        reader.get("/api/v1/namespaces/default/secrets"),
        reader.merge(config_maps(namespace, "one"), {}),
        reader.put(config_maps(namespace, "one"), {}),
        reader.delete(config_maps(namespace, "one")),
        reader.delete(config_maps(namespace)),
        reader.get(deployments("other", "x") + "/scale"),
    ):
        assert attempt.status == 403


def test_what_may_i(admin: Client, reader: Client) -> None:
    where = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def asked(client: Client, verb: str, namespace: str = "default") -> bool:
        attributes = {"verb": verb, "resource": "configmaps", "namespace": namespace}
        answer = client.post(where, {"spec": {"resourceAttributes": attributes}})
        assert answer.status == 201
        return answer.json["status"]["allowed"]

    assert asked(admin, "delete", "any")
    assert asked(reader, "list")
    assert not asked(reader, "delete")
    assert not asked(reader, "list", "other")
    who = reader.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).json
    assert who["status"]["userInfo"]["username"] == "reader"
    rules = admin.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert rules.json["status"]["resourceRules"][0]["verbs"] == ["*"]


def test_token_and_kubeconfig_are_private(server: Running, tmp_path: Path) -> None:
    for path in (server.folder / "token", server.kubeconfig):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keep_token(server.folder / "token") == server.token
    loose = tmp_path / "token"
    loose.write_text("abc\n")
    loose.chmod(0o644)
    assert keep_token(loose) == "abc"
    assert stat.S_IMODE(loose.stat().st_mode) == 0o600


def test_only_tls_is_spoken(server: Running) -> None:
    untrusting = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(server.port, server.token, untrusting).get("/api")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"200" not in plain.recv(100)


# ------------------------------------------------------------ strictness
def _with_unknown() -> dict[str, Any]:
    value = virtual_service()
    value["spec"]["htp"] = []
    value["spec"]["http"][0]["route"][0]["destination"]["hst"] = "x"
    return value


def test_strict_refuses_unknown_fields_all_at_once(admin: Client, namespace: str) -> None:
    answer = admin.post(virtual_services(namespace) + "?fieldValidation=Strict", _with_unknown())
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.http[0]' in answer.json["message"]
    assert 'unknown field "spec.htp" (did you mean `http`?)' in answer.json["message"]
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [
        "spec.http[0].route[0].destination.hst",
        "spec.htp",
    ]


def test_warn_takes_the_rest_and_says_so(admin: Client, namespace: str) -> None:
    answer = admin.post(virtual_services(namespace), _with_unknown())
    assert answer.status == 201
    assert "htp" not in answer.json["spec"]
    assert [warning for warning in answer.warnings if r"unknown field \"spec.htp\"" in warning]


def test_ignore_takes_the_rest_in_silence(admin: Client, namespace: str) -> None:
    answer = admin.post(virtual_services(namespace) + "?fieldValidation=Ignore", _with_unknown())
    assert answer.status == 201
    assert not answer.warnings
    assert admin.post(virtual_services(namespace) + "?fieldValidation=Maybe", virtual_service("x")).status == 422


def test_fields_written_twice(admin: Client, namespace: str) -> None:
    text = b'{"metadata":{"name":"one"},"data":{"a":"1","a":"2"}}'
    strict = admin.post(config_maps(namespace) + "?fieldValidation=Strict", text)
    assert strict.status == 400
    assert 'duplicate field "data.a"' in strict.json["message"]
    loose = admin.post(config_maps(namespace), text)
    assert loose.json["data"] == {"a": "2"}
    assert "duplicate field" in loose.warnings[0]


def test_unknown_fields_and_other_errors_come_together(admin: Client, namespace: str) -> None:
    value = _with_unknown()
    value["spec"]["http"][0]["timeout"] = "soon"
    answer = admin.post(virtual_services(namespace) + "?fieldValidation=Strict", value)
    assert answer.status == 422
    fields = {cause["field"] for cause in answer.json["details"]["causes"]}
    assert fields == {"spec.htp", "spec.http[0].route[0].destination.hst", "spec.http[0].timeout"}


def test_what_the_mesh_leaves_out_is_a_warning(admin: Client, namespace: str) -> None:
    value = virtual_service()
    value["spec"]["http"][0]["fault"] = {"abort": {"httpStatus": 503}}
    answer = admin.post(virtual_services(namespace), value)
    assert answer.status == 201
    assert any("no request is affected" in warning for warning in answer.warnings)


# ------------------------------------------------------------ bodies that make no sense
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 2000, b'{"a":' * 2000, b"{}x", b'{"metadata":[]}'],
)
def test_garbage_is_400(admin: Client, namespace: str, body: bytes) -> None:
    answer = admin.post(config_maps(namespace), body)
    assert answer.status == 400
    assert answer.json["reason"] == "BadRequest"


def test_deep_bodies_are_400(admin: Client, namespace: str) -> None:
    deep = b'{"metadata":{"name":"one"},"data":' + b'{"a":' * 150 + b"1" + b"}" * 150 + b"}"
    assert admin.post(config_maps(namespace), deep).status == 400
    assert admin.merge(config_maps(namespace, "one"), deep).status in (400, 404)


def test_large_bodies_are_413(admin: Client, namespace: str) -> None:
    body = json.dumps(config_map(a="x" * (4 * 1024 * 1024))).encode()
    answer = admin.post(config_maps(namespace), body)
    assert answer.status == 413
    assert answer.json["reason"] == "RequestEntityTooLarge"


@pytest.mark.parametrize("kind", ["text/plain", "application/cbor", "application/xml"])
def test_other_media_types_are_415(admin: Client, namespace: str, kind: str) -> None:
    assert admin.ask("POST", config_maps(namespace), b"{}", kind).status == 415
    assert admin.ask("PATCH", config_maps(namespace, "one"), b"{}", kind).status == 415


@pytest.mark.parametrize(
    "body", [b"", b"k8s", b"k8s\x00", b"k8s\x00\xff\xff\xff", b"k8s\x00\x0a\x7f", bytes(range(191, 255))]
)
def test_garbage_in_protobuf_is_refused(admin: Client, namespace: str, body: bytes) -> None:
    answer = admin.ask("POST", config_maps(namespace), body, "application/vnd.kubernetes.protobuf")
    assert answer.status in (400, 415)


def test_yaml_bodies(admin: Client, namespace: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: '1'\n"
    assert admin.ask("POST", config_maps(namespace), text, "application/yaml").json["data"] == {"a": "1"}
    bomb = b"apiVersion: v1\nkind: ConfigMap\na: &a [x,x]\n" + b"".join(
        b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (98 + n, 98 + n, *[97 + n] * 8) for n in range(12)
    )
    assert admin.ask("POST", config_maps(namespace), bomb, "application/yaml").status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps/x", 405),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("POST", "/api/v1/configmaps", 405),
        ("GET", "/api/v1/namespaces/default/unicorns", 404),
        ("GET", "/apis/none/v1/namespaces/default/x", 404),
        ("GET", "/api/v1/namespaces/default/nodes/x", 404),
        ("GET", "/api/v1/namespaces/default/pods/x/logs/y", 404),
        ("GET", "/api/v1/namespaces/default/pods/x/unicorn", 404),
        ("GET", "/api/v1//pods", 404),
        ("GET", "/apis/networking.istio.io/v7/virtualservices", 404),
        ("GET", "/openapi/v3/apis/none/v1", 404),
        ("POST", "/version", 404),
    ],
)
def test_paths_that_lead_nowhere(admin: Client, method: str, path: str, status: int) -> None:
    answer = admin.ask(method, path, {} if method in ("POST", "PUT") else None)
    assert answer.status == status
    assert answer.json["kind"] == "Status"


def test_strange_paths_and_requests_leave_the_server_alive(server: Running, admin: Client) -> None:
    for raw in (b"\x00\xff\r\n\r\n", b"GET /%ff%fe HTTP/1.1\r\nHost: a\r\n\r\n", b"PATCH * HTTP/1.1\r\n\r\n"):
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
            server.tls.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(raw)
            secure.recv(1000)
    assert admin.get("/healthz").status == 200


def test_deployments_of_the_wrong_shape_do_not_break_tables(admin: Client, namespace: str) -> None:
    value = deployment()
    value["metadata"]["annotations"] = {"a": "\u2028 \x7f \U0001f600"}
    admin.must(admin.post(deployments(namespace), value))
    status = {"status": {"conditions": [{"type": "X"}], "readyReplicas": "many", "replicas": [1]}}
    admin.must(admin.merge(deployments(namespace, "web") + "/status", status))
    table = admin.get(deployments(namespace), Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table.json["rows"][0]["cells"][0] == "web"
