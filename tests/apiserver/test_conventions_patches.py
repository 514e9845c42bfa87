"""Conventions 61 to 90: patches, server-side apply, and the parts `status` and `scale`."""

from typing import Any

import pytest

from tests.apiserver.objects import (
    config_map,
    config_maps,
    deployment,
    deployments,
    virtual_service,
    virtual_services,
)
from tests.apiserver.server import Client
from tests.apiserver.statuses import fields, refused

APPLY = "application/apply-patch+yaml"


def managers(value: Any) -> dict[str, str]:
    """Who owns something, and by which operation."""
    return {entry["manager"]: entry["operation"] for entry in value["metadata"].get("managedFields", [])}


def named(**data: str) -> dict[str, Any]:
    return config_map(**data)


def test_061_a_patch_of_an_unknown_type_is_415_with_the_known_ones(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    status = refused(
        admin.ask("PATCH", config_maps(namespace, "one"), {}, "application/json"), 415, "UnsupportedMediaType"
    )
    for kind in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"):
        assert f"application/{kind}" in status["message"]


@pytest.mark.parametrize("kind", ["merge-patch+json", "json-patch+json", "strategic-merge-patch+json"])
def test_062_patching_nothing_is_404(admin: Client, namespace: str, kind: str) -> None:
    body: object = [] if kind.startswith("json-patch") else {}
    refused(admin.ask("PATCH", config_maps(namespace, "none"), body, f"application/{kind}"), 404, "NotFound")


@pytest.mark.parametrize("kind", ["merge-patch+json", "json-patch+json", "strategic-merge-patch+json"])
def test_063_a_patch_that_changes_nothing_makes_no_version(admin: Client, namespace: str, kind: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map(a="b")))
    body: object = {"data": {"a": "b"}}
    if kind.startswith("json-patch"):
        body = [{"op": "test", "path": "/data/a", "value": "b"}]
    same = admin.must(admin.ask("PATCH", config_maps(namespace, "one"), body, f"application/{kind}"))
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize("body", [{}, "x", [{"op": "fly", "path": "/a"}], [{"op": "add"}], [1]])
def test_064_what_is_no_json_patch_is_refused(admin: Client, namespace: str, body: object) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    answer = admin.patch(config_maps(namespace, "one"), body)
    refused(answer, answer.status, {400: "BadRequest", 422: "Invalid"}[answer.status])


def test_065_a_json_patch_whose_test_fails_changes_nothing(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map(a="b")))
    steps: list[dict[str, Any]] = [
        {"op": "replace", "path": "/data/a", "value": "c"},
        {"op": "test", "path": "/data/a", "value": "b"},
    ]
    refused(admin.patch(config_maps(namespace, "one"), steps), 422, "Invalid")
    assert admin.must(admin.get(config_maps(namespace, "one"))) == made


def test_066_pointers_escape_slashes_and_tildes(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    steps: list[dict[str, Any]] = [
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/example.com~1a", "value": "1"},
    ]
    patched = admin.must(admin.patch(config_maps(namespace, "one"), steps))
    assert patched["metadata"]["annotations"] == {"example.com/a": "1"}


def test_067_json_patches_have_a_greatest_length(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    steps = [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001
    refused(admin.patch(config_maps(namespace, "one"), steps), 413, "RequestEntityTooLarge")


def test_068_force_is_for_apply_only(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    status = refused(admin.merge(f"{config_maps(namespace, 'one')}?force=true", {}), 422, "Invalid")
    assert fields(status) == ["force"]


def test_069_apply_needs_a_manager(admin: Client, namespace: str) -> None:
    answer = admin.ask("PATCH", config_maps(namespace, "one"), config_map(), APPLY)
    assert fields(refused(answer, 422, "Invalid")) == ["fieldManager"]


def test_070_applying_the_same_again_makes_no_version(admin: Client, namespace: str) -> None:
    first = admin.must(admin.apply(config_maps(namespace, "one"), named(a="b")))
    assert admin.must(admin.apply(config_maps(namespace, "one"), named(a="b"))) == first


def test_071_apply_makes_201_then_200(admin: Client, namespace: str) -> None:
    assert admin.apply(config_maps(namespace, "one"), named(a="b")).status == 201
    assert admin.apply(config_maps(namespace, "one"), named(a="c")).status == 200


def test_072_an_entry_of_managed_fields_has_all_its_members(admin: Client, namespace: str) -> None:
    made = admin.must(admin.apply(config_maps(namespace, "one"), named(a="b"), "me"))
    (entry,) = made["metadata"]["managedFields"]
    assert {**entry, "time": ""} == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    assert entry["time"].endswith("Z")


def test_073_who_updates_a_field_owns_it_from_then_on(admin: Client, namespace: str) -> None:
    admin.must(admin.apply(config_maps(namespace, "one"), named(a="b"), "me"))
    updated = admin.must(
        admin.ask("PATCH", f"{config_maps(namespace, 'one')}?fieldManager=you", {"data": {"a": "c"}},
                  "application/merge-patch+json")
    )  # fmt: skip
    assert managers(updated) == {"you": "Update"}


def test_074_a_conflict_names_manager_operation_and_field(admin: Client, namespace: str) -> None:
    admin.must(admin.apply(config_maps(namespace, "one"), named(a="b"), "me"))
    status = refused(admin.apply(config_maps(namespace, "one"), named(a="c"), "you"), 409, "Conflict")
    (cause,) = status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    assert 'conflict with "me"' in cause["message"]


def test_075_force_moves_the_field_and_its_owner(admin: Client, namespace: str) -> None:
    admin.must(admin.apply(config_maps(namespace, "one"), named(a="b", x="y"), "me"))
    taken = admin.must(admin.apply(config_maps(namespace, "one"), named(a="c"), "you", "&force=true"))
    assert taken["data"] == {"a": "c", "x": "y"}
    owned = {entry["manager"]: entry["fieldsV1"]["f:data"] for entry in taken["metadata"]["managedFields"]}
    assert owned == {"me": {"f:x": {}}, "you": {"f:a": {}}}


def test_076_a_field_of_two_owners_stays_until_both_let_go(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, named(a="b"), "me"))
    admin.must(admin.apply(where, named(a="b"), "you"))
    assert admin.must(admin.apply(where, named(), "me")).get("data") == {"a": "b"}
    assert not admin.must(admin.apply(where, named(), "you")).get("data")


def test_077_an_owner_of_nothing_is_not_listed(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, named(a="b"), "me"))
    admin.must(admin.apply(where, named(x="y"), "you"))
    assert managers(admin.must(admin.apply(where, {**named(), "data": {}}, "me"))).get("you") == "Apply"
    assert "me" not in managers(admin.must(admin.apply(where, _bare(), "me")))


def _bare() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}


def test_078_apply_with_a_version_that_is_over_is_409(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    old = admin.must(admin.apply(where, named(a="b")))
    admin.must(admin.apply(where, named(a="c")))
    config = _bare()
    config["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    refused(admin.apply(where, config), 409, "Conflict")


def test_079_apply_with_a_uid_makes_nothing_new(admin: Client, namespace: str) -> None:
    config = _bare()
    config["metadata"]["uid"] = "of-one-that-is-gone"
    refused(admin.apply(config_maps(namespace, "one"), config), 409, "Conflict")
    assert admin.get(config_maps(namespace, "one")).status == 404


def test_080_a_dry_run_of_apply_shows_the_result_and_keeps_nothing(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    shown = admin.must(admin.apply(where, named(a="b"), "me", "&dryRun=All"))
    assert (shown["data"], managers(shown)) == ({"a": "b"}, {"me": "Apply"})
    assert admin.get(where).status == 404


def test_081_unknown_fields_in_an_applied_object_are_400_when_strict(admin: Client, namespace: str) -> None:
    config = {**named(a="b"), "unicorn": 1}
    where = config_maps(namespace, "one")
    status = refused(admin.apply(where, config, "me", "&fieldValidation=Strict"), 400, "BadRequest")
    assert 'unknown field "unicorn"' in status["message"]


def test_082_a_manager_that_is_not_named_is_the_program(admin: Client, namespace: str) -> None:
    value = admin.must(admin.post(config_maps(namespace), config_map(a="b"), User_Agent="robot/1.2 (linux)"))
    assert managers(value) == {"robot": "Update"}


def test_083_a_status_that_is_put_with_the_object_is_ignored(admin: Client, namespace: str) -> None:
    value = {**virtual_service(), "status": {"observedGeneration": 7}}
    made = admin.must(admin.post(virtual_services(namespace), value))
    assert "observedGeneration" not in made.get("status", {})
    put = admin.must(admin.put(virtual_services(namespace, "reviews"), {**made, "status": {"observedGeneration": 7}}))
    assert "observedGeneration" not in put.get("status", {})


def test_084_through_status_nothing_but_the_status_changes(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    made["spec"]["hosts"] = ["other"]
    made["status"] = {"observedGeneration": 1}
    put = admin.must(admin.put(f"{virtual_services(namespace, 'reviews')}/status", made))
    assert put["spec"]["hosts"] == ["reviews"]
    assert put["status"]["observedGeneration"] == 1
    assert put["metadata"]["generation"] == 1
    assert int(put["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_085_a_status_with_a_version_that_is_over_is_409(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(virtual_services(namespace), virtual_service()))
    admin.must(admin.merge(virtual_services(namespace, "reviews"), {"metadata": {"labels": {"a": "b"}}}))
    where = f"{virtual_services(namespace, 'reviews')}/status"
    refused(admin.put(where, {**made, "status": {"observedGeneration": 1}}), 409, "Conflict")


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_086_status_is_neither_made_nor_deleted(admin: Client, namespace: str, method: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    refused(admin.ask(method, f"{virtual_services(namespace, 'reviews')}/status", {}), 405, "MethodNotAllowed")


def test_087_a_scale_shows_what_is_wanted_what_is_there_and_which_pods(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    scale = admin.must(admin.get(f"{deployments(namespace, 'web')}/scale"))
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}


def test_088_a_scale_is_written_by_put_and_by_patch(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    where = f"{deployments(namespace, 'web')}/scale"
    scale = admin.must(admin.get(where))
    scale["spec"]["replicas"] = 3
    assert admin.must(admin.put(where, scale))["spec"] == {"replicas": 3}
    assert admin.must(admin.merge(where, {"spec": {"replicas": 0}}))["spec"]["replicas"] == 0
    whole = admin.must(admin.get(deployments(namespace, "web")))
    assert whole["spec"]["replicas"] == 0
    assert whole["metadata"]["generation"] == 3


def test_089_a_scale_that_makes_no_sense_is_422_and_a_stale_one_409(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    where = f"{deployments(namespace, 'web')}/scale"
    old = admin.must(admin.get(where))
    assert fields(refused(admin.merge(where, {"spec": {"replicas": -1}}), 422, "Invalid")) == ["spec.replicas"]
    admin.must(admin.merge(where, {"spec": {"replicas": 2}}))
    old["spec"]["replicas"] = 5
    refused(admin.put(where, old), 409, "Conflict")


def test_090_only_workloads_have_a_scale(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    refused(admin.get(f"{config_maps(namespace, 'one')}/scale"), 404, "NotFound")
