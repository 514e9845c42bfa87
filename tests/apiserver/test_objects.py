"""Create, get, update and delete: codes, reasons, what the server fills in, and what it refuses."""

import base64

import pytest

from tests.apiserver.objects import (
    config_map,
    config_maps,
    deployment,
    deployments,
    pod,
    pods,
    service,
    services,
    virtual_service,
    virtual_services,
)
from tests.apiserver.server import Client


def test_create_answers_201_with_what_the_server_sets(admin: Client, namespace: str) -> None:
    answer = admin.post(config_maps(namespace), config_map(a="1"))
    assert answer.status == 201
    made = answer.json
    metadata = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert metadata["namespace"] == namespace
    assert metadata["generation"] == 1
    assert metadata["uid"]
    assert metadata["resourceVersion"].isdigit()
    assert metadata["creationTimestamp"].endswith("Z")
    assert admin.get(config_maps(namespace, "one")).json == made


def test_a_writer_cannot_set_what_the_server_keeps(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"] |= {"uid": "mine", "generation": 7, "creationTimestamp": "2000-01-01T00:00:00Z"}
    made = admin.must(admin.post(config_maps(namespace), value))["metadata"]
    assert made["uid"] != "mine"
    assert made["generation"] == 1
    assert not made["creationTimestamp"].startswith("2000")


def test_create_with_a_resource_version_is_refused(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["resourceVersion"] = "1"
    assert admin.post(config_maps(namespace), value).json["reason"] == "BadRequest"


def test_the_same_name_again_is_409_already_exists(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    answer = admin.post(config_maps(namespace), config_map())
    assert answer.status == 409
    assert answer.json["reason"] == "AlreadyExists"
    assert answer.json["message"] == 'configmaps "one" already exists'
    assert answer.json["details"] == {"name": "one", "kind": "configmaps"}


def test_the_same_name_in_another_namespace_is_another_object(admin: Client, namespace: str) -> None:
    one = admin.must(admin.post(config_maps(namespace), config_map("shared")))
    other = admin.must(admin.post(config_maps("default"), config_map("shared")))
    assert one["metadata"]["uid"] != other["metadata"]["uid"]
    admin.must(admin.delete(config_maps("default", "shared")))


def test_generate_name_makes_different_names(admin: Client, namespace: str) -> None:
    value = {"metadata": {"generateName": "job-"}}
    names = {admin.must(admin.post(config_maps(namespace), value))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == len("job-") + 5 for name in names)


def test_neither_name_nor_generate_name_is_422(admin: Client, namespace: str) -> None:
    answer = admin.post(config_maps(namespace), {"metadata": {}})
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["reason"] == "FieldValueRequired"
    assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize("name", ["Upper", "-a", "a_b", "a" * 254, "ü", "a..b", "a/b"])
def test_bad_names_are_422(admin: Client, namespace: str, name: str) -> None:
    answer = admin.post(config_maps(namespace), config_map(name))
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


def test_names_of_services_are_stricter(admin: Client, namespace: str) -> None:
    assert admin.post(services(namespace), service("a.b")).status == 422
    assert admin.post(services(namespace), service("1a")).status == 422


def test_an_unknown_namespace_is_404(admin: Client) -> None:
    answer = admin.post(config_maps("nowhere"), config_map())
    assert answer.status == 404
    assert answer.json["message"] == 'namespaces "nowhere" not found'


def test_another_namespace_in_the_body_is_400(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["namespace"] = "default"
    assert admin.post(config_maps(namespace), value).status == 400


@pytest.mark.parametrize("change", [{"kind": "Secret"}, {"apiVersion": "v2"}, {"metadata": "no"}])
def test_a_body_of_something_else_is_400(admin: Client, namespace: str, change: dict[str, str]) -> None:
    assert admin.post(config_maps(namespace), config_map() | change).status == 400


def test_what_is_not_there_is_404_with_details(admin: Client, namespace: str) -> None:
    answer = admin.get(virtual_services(namespace, "none"))
    assert answer.status == 404
    assert answer.json["status"] == "Failure"
    assert answer.json["kind"] == "Status"
    assert answer.json["code"] == 404
    assert answer.json["reason"] == "NotFound"
    assert answer.json["message"] == 'virtualservices.networking.istio.io "none" not found'
    expected = {"name": "none", "group": "networking.istio.io", "kind": "virtualservices"}
    assert answer.json["details"] == expected


def test_update_needs_the_version_that_was_read(admin: Client, namespace: str) -> None:
    first = admin.must(admin.post(config_maps(namespace), config_map(a="1")))
    second = admin.must(admin.put(config_maps(namespace, "one"), first | {"data": {"a": "2"}}))
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    late = admin.put(config_maps(namespace, "one"), first | {"data": {"a": "3"}})
    assert late.status == 409
    assert late.json["reason"] == "Conflict"
    assert "the object has been modified" in late.json["message"]


def test_update_without_a_version_replaces_what_is_there(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map(a="1")))
    assert admin.must(admin.put(config_maps(namespace, "one"), config_map(b="2")))["data"] == {"b": "2"}


def test_update_of_nothing_is_404(admin: Client, namespace: str) -> None:
    assert admin.put(config_maps(namespace, "none"), config_map("none")).status == 404


def test_update_with_another_name_or_uid_is_refused(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map()))
    assert admin.put(config_maps(namespace, "one"), config_map("two")).status == 400
    made["metadata"]["uid"] = "another"
    made["metadata"].pop("resourceVersion")
    answer = admin.put(config_maps(namespace, "one"), made)
    assert answer.status == 409
    assert "Precondition failed" in answer.json["message"]


def test_an_update_that_changes_nothing_makes_no_version(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    again = admin.must(admin.put(virtual_services(namespace, "reviews"), made))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generation_follows_the_spec_only(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    made["metadata"]["labels"] = {"team": "a"}
    labelled = admin.must(admin.put(virtual_services(namespace, "reviews"), made))
    assert labelled["metadata"]["generation"] == 1
    labelled["spec"]["hosts"] = ["ratings"]
    changed = admin.must(admin.put(virtual_services(namespace, "reviews"), labelled))
    assert changed["metadata"]["generation"] == 2


def test_all_served_versions_are_one_object(admin: Client, namespace: str) -> None:
    old = virtual_service(version="v1alpha3")
    made = admin.must(admin.post(virtual_services(namespace, version="v1alpha3"), old))
    assert made["apiVersion"] == "networking.istio.io/v1alpha3"
    for version in ("v1", "v1beta1", "v1alpha3"):
        found = admin.get(virtual_services(namespace, "reviews", version)).json
        assert found["apiVersion"] == f"networking.istio.io/{version}"
        assert found["metadata"] == made["metadata"]
        listed = admin.get(virtual_services(namespace, version=version)).json
        assert listed["items"] == [found]
        assert listed["apiVersion"] == f"networking.istio.io/{version}"


def test_secrets_take_plain_texts_and_keep_them_encoded(admin: Client, namespace: str) -> None:
    where = f"/api/v1/namespaces/{namespace}/secrets"
    value = {"metadata": {"name": "s"}, "stringData": {"password": "open"}}
    made = admin.must(admin.post(where, value))
    assert made["data"] == {"password": base64.b64encode(b"open").decode()}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


def test_defaults_that_clients_rely_on(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(deployments(namespace), deployment()))["spec"]
    assert made["replicas"] == 1
    assert made["strategy"]["type"] == "RollingUpdate"
    assert made["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    made = admin.must(admin.post(services(namespace), service("web", 80)))["spec"]
    assert made["type"] == "ClusterIP"
    assert made["ports"][0]["targetPort"] == 80


def test_every_field_error_at_once(admin: Client, namespace: str) -> None:
    value = virtual_service()
    value["metadata"]["labels"] = {"a": "not a label!"}
    value["spec"]["http"][0]["timeout"] = "soon"
    value["spec"]["http"][0]["route"][0]["weight"] = "many"
    answer = admin.post(virtual_services(namespace), value)
    assert answer.status == 422
    assert answer.json["reason"] == "Invalid"
    fields = {cause["field"] for cause in answer.json["details"]["causes"]}
    assert {"metadata.labels.a", "spec.http[0].timeout", "spec.http[0].route[0].weight"} <= fields


def test_wrong_types_of_core_kinds_are_named(admin: Client, namespace: str) -> None:
    value = deployment()
    value["spec"]["replicas"] = "three"
    value["spec"]["template"]["spec"]["containers"][0]["tty"] = "yes"
    del value["spec"]["selector"]
    causes = admin.post(deployments(namespace), value).json["details"]["causes"]
    fields = {cause["field"] for cause in causes}
    assert {"spec.replicas", "spec.template.spec.containers[0].tty", "spec.selector"} <= fields


def test_fields_that_may_not_change(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(deployments(namespace), deployment()))
    made["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = admin.put(deployments(namespace, "web"), made)
    assert answer.status == 422
    assert "field is immutable" in answer.json["message"]
    admin.must(admin.post(config_maps(namespace), config_map(a="1") | {"immutable": True}))
    assert admin.merge(config_maps(namespace, "one"), {"data": {"a": "2"}}).status == 422


def test_delete_answers_with_a_status_and_then_404(admin: Client, namespace: str) -> None:
    uid = admin.must(admin.post(config_maps(namespace), config_map()))["metadata"]["uid"]
    answer = admin.delete(config_maps(namespace, "one"))
    assert answer.status == 200
    assert answer.json["status"] == "Success"
    assert answer.json["details"] == {"name": "one", "kind": "configmaps", "uid": uid}
    assert admin.delete(config_maps(namespace, "one")).status == 404


def test_delete_with_preconditions(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map()))["metadata"]
    wrong = {"preconditions": {"uid": "another"}}
    assert admin.delete(config_maps(namespace, "one"), wrong).status == 409
    wrong = {"preconditions": {"resourceVersion": "1"}}
    assert admin.delete(config_maps(namespace, "one"), wrong).status == 409
    right = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert admin.delete(config_maps(namespace, "one"), right).status == 200


def test_finalizers_hold_an_object_until_they_are_gone(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["finalizers"] = ["example.com/hold"]
    admin.must(admin.post(config_maps(namespace), value))
    held = admin.must(admin.delete(config_maps(namespace, "one")))
    assert held["kind"] == "ConfigMap"
    assert held["metadata"]["deletionTimestamp"]
    assert admin.get(config_maps(namespace, "one")).status == 200
    admin.must(admin.merge(config_maps(namespace, "one"), {"metadata": {"finalizers": None}}))
    assert admin.get(config_maps(namespace, "one")).status == 404


@pytest.mark.parametrize(("policy", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])])
def test_propagation_policies(admin: Client, namespace: str, policy: str, finalizers: list[str]) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    answer = admin.delete(config_maps(namespace, "one"), {"propagationPolicy": policy})
    assert answer.json["metadata"]["finalizers"] == finalizers
    assert admin.delete(config_maps(namespace, "one"), {"propagationPolicy": "Sometimes"}).status == 422


def test_pods_that_run_get_a_time_of_grace(admin: Client, namespace: str) -> None:
    admin.must(admin.post(pods(namespace), pod("bound", "node-1")))
    marked = admin.must(admin.delete(pods(namespace, "bound"), {"gracePeriodSeconds": 5}))["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 5
    assert admin.get(pods(namespace, "bound")).status == 200
    admin.must(admin.delete(pods(namespace, "bound"), {"gracePeriodSeconds": 0}))
    assert admin.get(pods(namespace, "bound")).status == 404
    admin.must(admin.post(pods(namespace), pod("waiting")))
    admin.must(admin.delete(pods(namespace, "waiting")))
    assert admin.get(pods(namespace, "waiting")).status == 404


def test_delete_of_a_collection_by_label(admin: Client, namespace: str) -> None:
    for name, team in (("a", "x"), ("b", "y"), ("c", "x")):
        value = config_map(name)
        value["metadata"]["labels"] = {"team": team}
        admin.must(admin.post(config_maps(namespace), value))
    gone = admin.must(admin.delete(config_maps(namespace) + "?labelSelector=team%3Dx"))
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    left = admin.get(config_maps(namespace)).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


def test_a_namespace_with_content_waits_and_takes_nothing_new(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    marked = admin.must(admin.delete(f"/api/v1/namespaces/{namespace}"))
    assert marked["metadata"]["deletionTimestamp"]
    answer = admin.post(config_maps(namespace), config_map("two"))
    assert answer.status == 403
    assert answer.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_an_empty_namespace_goes_at_once(admin: Client, namespace: str) -> None:
    admin.must(admin.delete(f"/api/v1/namespaces/{namespace}"))
    assert admin.get(f"/api/v1/namespaces/{namespace}").status == 404


def test_dry_runs_say_what_would_be_and_keep_nothing(admin: Client, namespace: str) -> None:
    answer = admin.post(config_maps(namespace) + "?dryRun=All", config_map(a="1"))
    assert answer.status == 201
    assert answer.json["metadata"]["uid"]
    assert "resourceVersion" not in answer.json["metadata"]
    assert admin.get(config_maps(namespace, "one")).status == 404
    made = admin.must(admin.post(config_maps(namespace), config_map(a="1")))
    changed = admin.merge(config_maps(namespace, "one") + "?dryRun=All", {"data": {"a": "2"}}).json
    assert changed["data"] == {"a": "2"}
    assert changed["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    admin.must(admin.delete(config_maps(namespace, "one") + "?dryRun=All"))
    assert admin.get(config_maps(namespace, "one")).json == made
    assert admin.post(config_maps(namespace) + "?dryRun=Some", config_map("two")).status == 422


def test_owner_references_are_checked(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]
    causes = admin.post(config_maps(namespace), value).json["details"]["causes"]
    assert [cause["field"] for cause in causes] == ["metadata.ownerReferences[0].uid"]
