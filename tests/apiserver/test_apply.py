"""Server-side apply: who owns what, what goes away, conflicts with their causes, and force."""

from typing import Any

from tests.apiserver.objects import (
    config_map,
    config_maps,
    deployment,
    deployments,
    service,
    services,
    virtual_service,
    virtual_services,
)
from tests.apiserver.server import Client


def _managers(value: dict[str, Any]) -> dict[tuple[str, str], Any]:
    entries = value["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def test_apply_creates_and_owns(admin: Client, namespace: str) -> None:
    answer = admin.apply(config_maps(namespace, "one"), config_map(a="1"), "alice")
    assert answer.status == 201
    assert _managers(answer.json) == {("alice", "Apply"): {"f:data": {"f:a": {}}}}
    again = admin.apply(config_maps(namespace, "one"), config_map(a="1"), "alice")
    assert again.status == 200
    assert again.json["metadata"]["resourceVersion"] == answer.json["metadata"]["resourceVersion"]


def test_two_appliers_own_different_fields(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1"), "alice"))
    both = admin.must(admin.apply(where, config_map(b="2"), "bob"))
    assert both["data"] == {"a": "1", "b": "2"}
    assert _managers(both) == {
        ("alice", "Apply"): {"f:data": {"f:a": {}}},
        ("bob", "Apply"): {"f:data": {"f:b": {}}},
    }


def test_what_is_no_longer_applied_goes_away(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1", b="2"), "alice"))
    admin.must(admin.apply(where, config_map(b="2"), "bob"))
    left = admin.must(admin.apply(where, config_map(), "alice"))
    assert left["data"] == {"b": "2"}, "bob still wants b"
    gone = admin.must(admin.apply(where, {"apiVersion": "v1", "kind": "ConfigMap"}, "bob"))
    assert "b" not in gone.get("data", {})


def test_conflicts_name_every_field_and_owner(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1", b="2"), "alice"))
    answer = admin.apply(where, config_map(a="x", b="y", c="3"), "bob")
    assert answer.status == 409
    assert answer.json["reason"] == "Conflict"
    assert answer.json["message"].startswith("Apply failed with 2 conflicts")
    assert answer.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.a"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.b"},
    ]
    assert admin.get(where).json["data"] == {"a": "1", "b": "2"}


def test_conflicts_are_grouped_by_owner(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    for owner in ("mia", "alice"):
        admin.must(admin.apply(where, config_map(a="1", b="2"), owner))
    assert admin.apply(where, config_map(a="x", b="y"), "bob").json["message"] == (
        'Apply failed with 4 conflicts: conflicts with "alice":\n- .data.a\n- .data.b\n'
        'conflicts with "mia":\n- .data.a\n- .data.b'
    )


def test_force_takes_the_fields(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1", b="2"), "alice"))
    taken = admin.must(admin.apply(where, config_map(a="x"), "bob", "&force=true"))
    assert taken["data"] == {"a": "x", "b": "2"}
    assert _managers(taken) == {
        ("alice", "Apply"): {"f:data": {"f:b": {}}},
        ("bob", "Apply"): {"f:data": {"f:a": {}}},
    }


def test_the_same_value_is_shared_without_conflict(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1"), "alice"))
    admin.must(admin.apply(where, config_map(a="1"), "bob"))
    left = admin.must(admin.apply(where, {"apiVersion": "v1", "kind": "ConfigMap"}, "alice"))
    assert left["data"] == {"a": "1"}


def test_updates_are_owned_and_conflict_with_apply(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1", b="1"), "alice"))
    admin.must(admin.ask("PATCH", f"{where}?fieldManager=edit", {"data": {"a": "2"}}, "application/merge-patch+json"))
    value = admin.get(where).json
    assert _managers(value) == {
        ("alice", "Apply"): {"f:data": {"f:b": {}}},
        ("edit", "Update"): {"f:data": {"f:a": {}}},
    }
    answer = admin.apply(where, config_map(a="3", b="1"), "alice")
    assert answer.json["details"]["causes"][0]["message"] == 'conflict with "edit" using v1'


def test_items_of_lists_are_owned_by_key(admin: Client, namespace: str) -> None:
    where = deployments(namespace, "web")
    admin.must(admin.apply(where, deployment(), "alice"))
    side = deployment()
    side["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "side:1"}]
    both = admin.must(admin.apply(where, side, "bob"))
    containers = both["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["web", "side"]
    owned = _managers(both)["bob", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert owned == {'k:{"name":"side"}': {".": {}, "f:image": {}, "f:name": {}}}
    side["spec"]["template"]["spec"]["containers"] = []
    left = admin.must(admin.apply(where, side, "bob"))
    assert [item["name"] for item in left["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_ports_are_told_apart_by_number_and_protocol(admin: Client, namespace: str) -> None:
    where = services(namespace, "web")
    value = service("web", 53)
    admin.must(admin.apply(where, value, "alice"))
    value["spec"]["ports"] = [{"name": "dns-udp", "port": 53, "protocol": "UDP"}]
    both = admin.must(admin.apply(where, value, "bob"))
    assert [(port["port"], port["protocol"]) for port in both["spec"]["ports"]] == [(53, "TCP"), (53, "UDP")]


def test_lists_without_keys_have_one_owner(admin: Client, namespace: str) -> None:
    where = virtual_services(namespace, "reviews")
    admin.must(admin.apply(where, virtual_service(), "alice"))
    answer = admin.apply(where, virtual_service(subset="v2"), "bob")
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [".spec.http"]


def test_ownership_is_one_over_served_versions(admin: Client, namespace: str) -> None:
    admin.must(admin.apply(virtual_services(namespace, "reviews"), virtual_service(), "alice"))
    old = virtual_service(subset="v2", version="v1beta1")
    changed = admin.must(admin.apply(virtual_services(namespace, "reviews", "v1beta1"), old, "alice"))
    assert changed["spec"]["http"][0]["route"][0]["destination"]["subset"] == "v2"
    assert len(changed["metadata"]["managedFields"]) == 1


def test_defaults_belong_to_nobody_and_survive(admin: Client, namespace: str) -> None:
    made = admin.must(admin.apply(deployments(namespace, "web"), deployment(), "alice"))
    assert made["spec"]["replicas"] == 1
    admin.must(admin.merge(deployments(namespace, "web") + "/scale", {"spec": {"replicas": 5}}))
    kept = admin.must(admin.apply(deployments(namespace, "web"), deployment(image="web:2"), "alice"))
    assert kept["spec"]["replicas"] == 5


def test_what_an_apply_must_say(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    kind = "application/apply-patch+yaml"
    assert admin.ask("PATCH", where, config_map(), kind).status == 422, "a manager is required"
    assert admin.apply(where, {"kind": "ConfigMap", "metadata": {"name": "one"}}).status == 400
    managed = config_map()
    managed["metadata"]["managedFields"] = [{"manager": "x", "operation": "Apply"}]
    assert admin.apply(where, managed).status == 400
    assert admin.merge(where + "?force=true", {}).status == 422


def test_apply_takes_yaml(admin: Client, namespace: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: '1'\n"
    where = f"{config_maps(namespace, 'one')}?fieldManager=alice"
    answer = admin.ask("PATCH", where, text, "application/apply-patch+yaml")
    assert answer.status == 201
    assert answer.json["data"] == {"a": "1"}


def test_ownership_can_be_given_up(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.apply(where, config_map(a="1"), "alice"))
    reset: list[dict[str, Any]] = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    value = admin.must(admin.patch(where, reset))
    assert ("alice", "Apply") not in _managers(value)


def test_many_updaters_stay_few(admin: Client, namespace: str) -> None:
    where = config_maps(namespace, "one")
    admin.must(admin.post(config_maps(namespace), config_map()))
    for number in range(15):
        patch = {"data": {f"k{number}": "x"}}
        path = f"{where}?fieldManager=m{number}"
        admin.must(admin.ask("PATCH", path, patch, "application/merge-patch+json"))
    managers = _managers(admin.get(where).json)
    assert len(managers) == 10
    assert ("ancient-changes", "Update") in managers
