"""Conventions 1 to 30 and 167: how a request is refused or answered, whatever it is about."""

import re

import pytest

from tests.apiserver.objects import config_map, config_maps, deployment, deployments, pods, services
from tests.apiserver.server import Client
from tests.apiserver.statuses import fields, refused


def test_001_a_body_that_makes_no_sense_is_400_bad_request(admin: Client, namespace: str) -> None:
    refused(admin.post(config_maps(namespace), {"kind": "Pod", "metadata": {"name": "x"}}), 400, "BadRequest")


def test_002_nobody_is_401_unauthorized_and_told_how_to_log_in(admin: Client) -> None:
    answer = Client(admin.port, "wrong", admin.tls).get("/api/v1/namespaces")
    refused(answer, 401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_003_not_allowed_is_403_forbidden_with_who_what_and_where(reader: Client) -> None:
    status = refused(reader.get("/api/v1/namespaces/kube-system/pods"), 403, "Forbidden")
    assert (
        'User "reader" cannot list resource "pods" in API group "" in the namespace "kube-system"'
        in status["message"]
    )
    assert status["details"]["kind"] == "pods"


def test_004_what_is_not_there_is_404_not_found_with_its_name(admin: Client, namespace: str) -> None:
    status = refused(admin.get(deployments(namespace, "web")), 404, "NotFound")
    assert status["message"] == 'deployments.apps "web" not found'
    assert status["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_005_a_kind_that_is_not_served_is_404_without_a_name(admin: Client, namespace: str) -> None:
    status = refused(admin.get(f"/apis/batch/v1/namespaces/{namespace}/jobs"), 404, "NotFound")
    assert status["message"].startswith("the server could not find the requested resource: this mesh has no jobs in")
    assert status["details"] == {}, "clients look for a name there, and fail without details"


@pytest.mark.parametrize(
    ("method", "where"), [("PUT", ""), ("PATCH", ""), ("POST", "one"), ("OPTIONS", ""), ("OPTIONS", "one")]
)
def test_006_a_method_that_has_no_meaning_there_is_405(
    admin: Client, namespace: str, method: str, where: str
) -> None:
    refused(admin.ask(method, config_maps(namespace, where), {}), 405, "MethodNotAllowed")


def test_007_405_says_what_is_allowed(admin: Client, namespace: str) -> None:
    allowed = admin.ask("PUT", config_maps(namespace), {}).headers["Allow"]
    assert set(re.split(r",\s*", allowed)) == {"GET", "HEAD", "POST", "DELETE"}


@pytest.mark.parametrize(
    "accept", ["text/html", "application/cbor", "application/json;as=Unicorn;g=meta.k8s.io;v=v1"]
)
def test_008_a_form_that_cannot_be_given_is_406(admin: Client, accept: str) -> None:
    refused(admin.get("/api/v1/namespaces/default", Accept=accept), 406, "NotAcceptable")


def test_009_the_same_name_again_is_409_already_exists(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    status = refused(admin.post(config_maps(namespace), config_map()), 409, "AlreadyExists")
    assert status["message"] == 'configmaps "one" already exists'
    assert status["details"]["name"] == "one"


def test_010_a_version_that_is_over_is_409_conflict(admin: Client, namespace: str) -> None:
    old = admin.must(admin.post(config_maps(namespace), config_map()))
    admin.must(admin.merge(config_maps(namespace, "one"), {"data": {"a": "b"}}))
    status = refused(admin.put(config_maps(namespace, "one"), old), 409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in status["message"]


def test_011_a_body_that_is_too_long_is_413(admin: Client, namespace: str) -> None:
    huge = config_map(big="x" * (3 * 1024 * 1024))
    refused(admin.post(config_maps(namespace), huge), 413, "RequestEntityTooLarge")


def test_012_a_body_of_an_unknown_type_is_415_with_the_known_ones(admin: Client, namespace: str) -> None:
    answer = admin.ask("POST", config_maps(namespace), b"<a/>", "text/xml")
    assert "application/json" in refused(answer, 415, "UnsupportedMediaType")["message"]


def test_013_an_object_that_breaks_rules_is_422_with_kind_group_and_name(admin: Client, namespace: str) -> None:
    broken = deployment()
    broken["spec"]["replicas"] = -1
    status = refused(admin.post(deployments(namespace), broken), 422, "Invalid")
    assert status["message"].startswith('Deployment.apps "web" is invalid: spec.replicas: ')
    assert status["details"]["kind"] == "Deployment"
    assert status["details"]["group"] == "apps"


def test_014_each_cause_has_a_reason_a_message_and_a_field(admin: Client, namespace: str) -> None:
    broken = deployment()
    broken["spec"]["replicas"] = -1
    broken["spec"]["minReadySeconds"] = "soon"
    broken["metadata"]["labels"] = {"a b": "c"}
    status = refused(admin.post(deployments(namespace), broken), 422, "Invalid")
    assert sorted(fields(status)) == ["metadata.labels", "spec.minReadySeconds", "spec.replicas"], "each once"
    assert all(cause["reason"].startswith("FieldValue") for cause in status["details"]["causes"])
    assert status["message"].split(": ", 1)[1].startswith("[")


def test_015_a_version_of_the_future_is_504_and_says_when_to_come_again(admin: Client) -> None:
    answer = admin.get("/api/v1/namespaces?resourceVersion=999999999&resourceVersionMatch=NotOlderThan")
    status = refused(answer, 504, "Timeout")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert int(answer.headers["Retry-After"]) == status["details"]["retryAfterSeconds"] >= 1


def test_016_deleting_is_answered_with_a_status_that_names_the_uid(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map()))
    status = admin.must(admin.delete(config_maps(namespace, "one")))
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"] == {"name": "one", "kind": "configmaps", "uid": made["metadata"]["uid"]}


def test_017_head_is_get_without_a_body(admin: Client) -> None:
    whole, head = admin.get("/api/v1/namespaces/default"), admin.ask("HEAD", "/api/v1/namespaces/default")
    assert (head.status, head.text) == (200, b"")
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]


def test_018_head_of_nothing_is_404_without_a_body(admin: Client, namespace: str) -> None:
    answer = admin.ask("HEAD", config_maps(namespace, "none"))
    assert (answer.status, answer.text) == (404, b"")


def test_019_every_answer_has_an_id(admin: Client) -> None:
    ids = {admin.get(path).headers["Audit-Id"] for path in ("/api", "/api/v1/pods", "/nowhere")}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{36}", found) for found in ids)


def test_020_a_request_may_bring_its_id(admin: Client) -> None:
    assert admin.get("/api/v1/pods", Audit_ID="mine-7").headers["Audit-Id"] == "mine-7"
    strange = admin.get("/api/v1/pods", Audit_ID="x" * 500).headers["Audit-Id"]
    assert len(strange) <= 64


def test_021_nobody_between_may_keep_answers(admin: Client) -> None:
    for path in ("/api/v1/namespaces", "/api/v1/namespaces/default", "/api/v1/namespaces/none", "/apis"):
        assert admin.get(path).headers["Cache-Control"] == "no-cache, private"


def test_022_answers_name_the_version_that_was_asked_for(admin: Client, namespace: str) -> None:
    for version in ("v1", "v1beta1", "v1alpha3"):
        path = f"/apis/networking.istio.io/{version}/namespaces/{namespace}/gateways"
        listed = admin.must(admin.get(path))
        assert (listed["apiVersion"], listed["kind"]) == (f"networking.istio.io/{version}", "GatewayList")


def test_023_forbidden_comes_before_not_found_and_before_the_body(reader: Client) -> None:
    refused(reader.ask("POST", config_maps("default"), b"no json"), 403, "Forbidden")
    refused(reader.delete(config_maps("default", "none")), 403, "Forbidden")


def test_024_unauthorized_comes_before_not_found(admin: Client) -> None:
    refused(Client(admin.port, "wrong", admin.tls).get("/nowhere"), 401, "Unauthorized")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "bearerx y", "Bearer a b"])
def test_025_other_ways_of_saying_who_one_is_are_401(admin: Client, header: str) -> None:
    refused(admin.get("/api/v1/pods", Authorization=header), 401, "Unauthorized")


def test_026_the_scheme_of_a_token_is_not_case_sensitive(admin: Client) -> None:
    assert admin.get("/api/v1/pods", Authorization=f"bearer {admin.token}").status == 200


def test_027_unknown_query_parameters_are_ignored(admin: Client) -> None:
    assert admin.get("/api/v1/namespaces?pretty=true&unicorn=1").status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dryRun=Some", "dryRun"),
        ("fieldValidation=Maybe", "fieldValidation"),
        ("fieldManager=" + "x" * 129, "fieldManager"),
        ("fieldManager=a%07b", "fieldManager"),
    ],
)
def test_028_options_of_writes_that_do_not_exist_are_422(
    admin: Client, namespace: str, query: str, field: str
) -> None:
    status = refused(admin.post(f"{config_maps(namespace)}?{query}", config_map()), 422, "Invalid")
    assert fields(status) == [field]


def test_029_several_warnings_are_several_headers(admin: Client, namespace: str) -> None:
    odd = {**config_map(), "one": 1, "two": 2}
    answer = admin.post(f"{config_maps(namespace)}?fieldValidation=Warn", odd)
    assert answer.status == 201
    assert [warning for warning in answer.warnings if r"unknown field \"one\"" in warning]
    assert all(warning.startswith('299 - "') for warning in answer.warnings)
    assert len(answer.warnings) == 2


@pytest.mark.parametrize("path", [pods("default", "A"), services("default", "-"), "/api/v1/namespaces/x_y"])
def test_030_names_that_cannot_exist_are_not_found(admin: Client, path: str) -> None:
    refused(admin.get(path), 404, "NotFound")


@pytest.mark.parametrize("path", ["/version/", "/api/", "/apis/", "/api/v1/", "/api/v1/namespaces/", "/apis/apps/"])
def test_167_a_closing_slash_means_nothing(admin: Client, path: str) -> None:
    assert admin.get(path).json == admin.get(path.rstrip("/")).json
