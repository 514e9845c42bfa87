"""Conventions 31 to 60: creating, replacing and deleting."""

import pytest

from tests.apiserver.objects import (
    config_map,
    config_maps,
    deployment,
    deployments,
    pod,
    pods,
    virtual_service,
    virtual_services,
)
from tests.apiserver.server import Client
from tests.apiserver.statuses import fields, refused

HOLD = "example.com/hold"


def held(name: str = "one") -> dict[str, object]:
    value = config_map(name)
    value["metadata"]["finalizers"] = [HOLD]
    return value


def test_031_a_name_wins_over_generate_name(admin: Client, namespace: str) -> None:
    value = config_map("chosen")
    value["metadata"]["generateName"] = "made-"
    assert admin.must(admin.post(config_maps(namespace), value))["metadata"]["name"] == "chosen"


def test_032_a_dry_run_with_generate_name_shows_a_name_and_keeps_nothing(admin: Client, namespace: str) -> None:
    value = {"metadata": {"generateName": "made-"}}
    shown = admin.must(admin.post(f"{config_maps(namespace)}?dryRun=All", value))
    assert shown["metadata"]["name"].startswith("made-")
    assert admin.must(admin.get(config_maps(namespace)))["items"] == []


def test_033_dry_runs_fail_as_the_real_thing_would(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    refused(admin.post(f"{config_maps(namespace)}?dryRun=All", config_map()), 409, "AlreadyExists")
    refused(admin.post(f"{config_maps('nowhere')}?dryRun=All", config_map()), 404, "NotFound")
    refused(admin.delete(f"{config_maps(namespace, 'none')}?dryRun=All"), 404, "NotFound")
    refused(admin.post(f"{deployments(namespace)}?dryRun=All", {"metadata": {"name": "x"}}), 422, "Invalid")


def test_034_a_dry_run_of_a_replacement_changes_nothing(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map(a="1")))
    shown = admin.must(admin.put(f"{config_maps(namespace, 'one')}?dryRun=All", config_map(a="2")))
    assert shown["data"] == {"a": "2"}
    assert shown["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert admin.must(admin.get(config_maps(namespace, "one"))) == made


def test_035_a_dry_run_of_a_deletion_deletes_nothing(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    assert admin.must(admin.delete(f"{config_maps(namespace, 'one')}?dryRun=All"))["status"] == "Success"
    assert admin.must(admin.delete(config_maps(namespace, "one"), {"dryRun": ["All"]}))["status"] == "Success"
    assert admin.get(config_maps(namespace, "one")).status == 200


def test_036_a_uid_in_a_replacement_is_a_precondition(admin: Client, namespace: str) -> None:
    first = admin.must(admin.post(config_maps(namespace), config_map()))
    admin.must(admin.delete(config_maps(namespace, "one")))
    admin.must(admin.post(config_maps(namespace), config_map()))
    del first["metadata"]["resourceVersion"]
    status = refused(admin.put(config_maps(namespace, "one"), first), 409, "Conflict")
    assert "UID in precondition" in status["message"]


def test_037_a_new_object_of_an_old_name_has_another_uid_and_generation_1(admin: Client, namespace: str) -> None:
    first = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    admin.must(admin.merge(virtual_services(namespace, "reviews"), {"spec": {"hosts": ["other"]}}))
    admin.must(admin.delete(virtual_services(namespace, "reviews")))
    second = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert second["metadata"]["generation"] == 1


def test_038_resource_versions_only_grow_over_all_kinds(admin: Client, namespace: str) -> None:
    made = [
        admin.must(admin.post(config_maps(namespace), config_map())),
        admin.must(admin.post(virtual_services(namespace), virtual_service())),
        admin.must(admin.merge(config_maps(namespace, "one"), {"data": {"a": "b"}})),
    ]
    versions = [int(value["metadata"]["resourceVersion"]) for value in made]
    assert versions == sorted(set(versions))


def test_039_labels_and_annotations_are_no_new_generation(admin: Client, namespace: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    labelled = admin.must(admin.merge(virtual_services(namespace, "reviews"), {"metadata": {"labels": {"a": "b"}}}))
    assert labelled["metadata"]["generation"] == 1
    changed = admin.must(admin.merge(virtual_services(namespace, "reviews"), {"spec": {"hosts": ["other"]}}))
    assert changed["metadata"]["generation"] == 2


def test_040_a_held_object_is_marked_and_answered_whole(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), held()))
    marked = admin.must(admin.delete(config_maps(namespace, "one")))
    assert marked["kind"] == "ConfigMap"
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0


def test_041_deleting_again_what_is_being_deleted_changes_nothing(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), held()))
    first = admin.must(admin.delete(config_maps(namespace, "one")))
    assert admin.must(admin.delete(config_maps(namespace, "one"))) == first


def test_042_no_finalizer_is_added_once_an_object_is_being_deleted(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), held()))
    admin.must(admin.delete(config_maps(namespace, "one")))
    more = {"metadata": {"finalizers": [HOLD, "example.com/more"]}}
    status = refused(admin.merge(config_maps(namespace, "one"), more), 422, "Invalid")
    assert fields(status) == ["metadata.finalizers"]


def test_043_the_mark_of_deletion_cannot_be_taken_back(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), held()))
    marked = admin.must(admin.delete(config_maps(namespace, "one")))
    patched = admin.must(
        admin.merge(config_maps(namespace, "one"), {"metadata": {"deletionTimestamp": None}, "data": {"a": "b"}})
    )
    assert patched["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    assert patched["data"] == {"a": "b"}


def test_044_the_last_finalizer_that_goes_takes_the_object_along(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), held()))
    admin.must(admin.delete(config_maps(namespace, "one")))
    assert admin.merge(config_maps(namespace, "one"), {"metadata": {"finalizers": []}}).status == 200
    refused(admin.get(config_maps(namespace, "one")), 404, "NotFound")


def test_045_finalizers_are_names_with_a_domain(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["finalizers"] = ["no spaces please"]
    assert "metadata.finalizers[0]" in fields(refused(admin.post(config_maps(namespace), value), 422, "Invalid"))


@pytest.mark.parametrize("options", [{"uid": "another"}, {"resourceVersion": "1"}])
def test_046_deletions_with_preconditions_that_do_not_hold_are_409(
    admin: Client, namespace: str, options: dict[str, str]
) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": options}
    refused(admin.delete(config_maps(namespace, "one"), body), 409, "Conflict")
    assert admin.get(config_maps(namespace, "one")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"propagationPolicy": "Sideways"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"dryRun": ["Some"]},
    ],
)
def test_047_options_of_deletions_that_do_not_exist_are_422(
    admin: Client, namespace: str, body: dict[str, object]
) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    refused(admin.delete(config_maps(namespace, "one"), body), 422, "Invalid")


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan"), ("Background", None)]
)
def test_048_policies_of_deletion_are_finalizers(
    admin: Client, namespace: str, policy: str, finalizer: str | None
) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    answer = admin.must(admin.delete(f"{deployments(namespace, 'web')}?propagationPolicy={policy}"))
    assert answer.get("metadata", {}).get("finalizers") == ([finalizer] if finalizer else None)


def test_049_the_old_word_for_orphans_is_understood(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    marked = admin.must(admin.delete(deployments(namespace, "web"), {"orphanDependents": True}))
    assert marked["metadata"]["finalizers"] == ["orphan"]


def test_050_a_pod_that_runs_is_given_its_time_and_that_can_be_cut_short(admin: Client, namespace: str) -> None:
    value = pod(node="somewhere")
    value["spec"]["terminationGracePeriodSeconds"] = 50
    admin.must(admin.post(pods(namespace), value))
    marked = admin.must(admin.delete(pods(namespace, "one")))
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 50
    cut = admin.must(admin.delete(pods(namespace, "one"), {"gracePeriodSeconds": 5}))
    assert cut["metadata"]["deletionGracePeriodSeconds"] == 5
    assert cut["metadata"]["deletionTimestamp"] < marked["metadata"]["deletionTimestamp"]
    longer = admin.must(admin.delete(pods(namespace, "one"), {"gracePeriodSeconds": 90}))
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5


def test_051_a_time_of_zero_deletes_a_pod_at_once(admin: Client, namespace: str) -> None:
    admin.must(admin.post(pods(namespace), pod(node="somewhere")))
    admin.must(admin.delete(pods(namespace, "one"), {"gracePeriodSeconds": 0}))
    refused(admin.get(pods(namespace, "one")), 404, "NotFound")


def test_052_deleting_a_collection_answers_with_the_list_of_what_went(admin: Client, namespace: str) -> None:
    for name in ("a", "b", "c"):
        admin.must(admin.post(config_maps(namespace), config_map(name)))
    gone = admin.must(admin.delete(f"{config_maps(namespace)}?fieldSelector=metadata.name!=b"))
    assert gone["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    left = admin.must(admin.get(config_maps(namespace)))["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


def test_053_a_dry_run_over_a_collection_deletes_nothing(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    admin.must(admin.delete(f"{config_maps(namespace)}?dryRun=All"))
    assert len(admin.must(admin.get(config_maps(namespace)))["items"]) == 1


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_054_namespaces_that_every_cluster_has_cannot_be_deleted(admin: Client, name: str) -> None:
    status = refused(admin.delete(f"/api/v1/namespaces/{name}"), 403, "Forbidden")
    assert "this namespace may not be deleted" in status["message"]


def test_055_what_is_in_a_namespace_that_ends_can_still_be_changed(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    marked = admin.must(admin.delete(f"/api/v1/namespaces/{namespace}"))
    assert marked["metadata"]["deletionTimestamp"]
    assert admin.merge(config_maps(namespace, "one"), {"data": {"a": "b"}}).status == 200
    status = refused(admin.post(config_maps(namespace), config_map("two")), 403, "Forbidden")
    assert [cause["reason"] for cause in status["details"]["causes"]] == ["NamespaceTerminating"]
    where = config_maps(namespace, "three")
    refused(admin.apply(where, config_map("three")), 403, "Forbidden")


def test_056_namespaces_carry_their_name_as_a_label(admin: Client, namespace: str) -> None:
    found = admin.must(admin.get(f"/api/v1/namespaces?labelSelector=kubernetes.io/metadata.name={namespace}"))
    assert [item["metadata"]["name"] for item in found["items"]] == [namespace]


@pytest.mark.parametrize("name", ["a.b", "A", "-a", "a" * 64])
def test_057_names_of_namespaces_are_dns_labels(admin: Client, name: str) -> None:
    status = refused(admin.post("/api/v1/namespaces", {"metadata": {"name": name}}), 422, "Invalid")
    assert "metadata.name" in fields(status)


@pytest.mark.parametrize("name", ["a.b", "0", "x" * 253, "a-b"])
def test_058_names_of_most_kinds_are_dns_subdomains(admin: Client, namespace: str, name: str) -> None:
    assert admin.post(config_maps(namespace), config_map(name)).status == 201


@pytest.mark.parametrize("name", ["a_b", "a..b", "x" * 254, "a/b", ".", "ä"])
def test_059_other_names_are_422(admin: Client, namespace: str, name: str) -> None:
    status = refused(admin.post(config_maps(namespace), config_map(name)), 422, "Invalid")
    assert "metadata.name" in fields(status)


def test_060_of_two_creators_of_one_name_one_wins(admin: Client, namespace: str) -> None:
    answers = [admin.post(config_maps(namespace), config_map()).status for _ in range(3)]
    assert sorted(answers) == [201, 409, 409]
