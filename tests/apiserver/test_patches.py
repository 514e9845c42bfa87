"""Merge, JSON and strategic merge patches, and the subresources `status` and `scale`."""

from typing import Any

import pytest

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


def _containers(value: dict[str, Any]) -> list[dict[str, Any]]:
    return value["spec"]["template"]["spec"]["containers"]


def test_a_merge_patch_sets_and_removes(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map(a="1", b="2")))
    patched = admin.must(admin.merge(config_maps(namespace, "one"), {"data": {"a": None, "c": "3"}}))
    assert patched["data"] == {"b": "2", "c": "3"}


def test_a_merge_patch_replaces_lists(admin: Client, namespace: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    patched = admin.must(admin.merge(virtual_services(namespace, "reviews"), {"spec": {"hosts": ["a", "b"]}}))
    assert patched["spec"]["hosts"] == ["a", "b"]


def test_a_merge_patch_with_a_stale_version_is_409(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"a": "1"}}
    assert admin.merge(config_maps(namespace, "one"), patch).status == 409


def test_a_json_patch_does_all_operations(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map(a="1", b="2") | {"metadata": {"name": "one"}}))
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "x"},
        {"op": "remove", "path": "/data/b"},
        {"op": "add", "path": "/data/c", "value": "3"},
        {"op": "copy", "from": "/data/c", "path": "/data/d"},
        {"op": "move", "from": "/data/d", "path": "/data/e"},
        {"op": "add", "path": "/metadata/labels", "value": {"example.com/x": "y"}},
        {"op": "replace", "path": "/metadata/labels/example.com~1x", "value": "z"},
    ]
    patched = admin.must(admin.patch(config_maps(namespace, "one"), operations))
    assert patched["data"] == {"a": "x", "c": "3", "e": "3"}
    assert patched["metadata"]["labels"] == {"example.com/x": "z"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/a", "value": 1},
        {"op": "add", "path": "/data/a/b/c", "value": 1},
        {"op": "jump", "path": "/data"},
        {"op": "add", "path": "data", "value": 1},
        {"op": "add", "path": "/data/x"},
        "no operation",
    ],
)
def test_a_json_patch_that_does_not_fit_is_422(admin: Client, namespace: str, operation: Any) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map(a="1")))
    assert admin.patch(config_maps(namespace, "one"), [operation]).status == 422
    assert admin.get(config_maps(namespace, "one")).json == made


def test_a_strategic_patch_merges_containers_by_name(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    add = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    patched = admin.must(admin.strategic(deployments(namespace, "web"), add))
    assert [item["name"] for item in _containers(patched)] == ["web", "side"]
    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    patched = admin.must(admin.strategic(deployments(namespace, "web"), change))
    assert _containers(patched)[0]["image"] == "web:2"
    assert _containers(patched)[0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    drop = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    patched = admin.must(admin.strategic(deployments(namespace, "web"), drop))
    assert [item["name"] for item in _containers(patched)] == ["web"]


def test_a_strategic_patch_merges_ports_by_number_and_orders(admin: Client, namespace: str) -> None:
    admin.must(admin.post(services(namespace), service("web", 80, 81)))
    patch = {
        "spec": {
            "$setElementOrder/ports": [{"port": 82}, {"port": 81}, {"port": 80}],
            "ports": [{"port": 82, "name": "third"}, {"port": 80, "name": "first"}],
        }
    }
    patched = admin.must(admin.strategic(services(namespace, "web"), patch))
    assert [(port["port"], port["name"]) for port in patched["spec"]["ports"]] == [
        (82, "third"),
        (81, "http-81"),
        (80, "first"),
    ]


def test_strategic_directives_for_maps_and_plain_lists(admin: Client, namespace: str) -> None:
    value = config_map(a="1", b="2")
    value["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    admin.must(admin.post(config_maps(namespace), value))
    where = config_maps(namespace, "one")
    replaced = admin.must(admin.strategic(where, {"data": {"$patch": "replace", "c": "3"}}))
    assert replaced["data"] == {"c": "3"}
    fewer = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}
    assert admin.must(admin.strategic(where, fewer))["metadata"]["finalizers"] == ["example.com/b"]
    admin.must(admin.merge(where, {"metadata": {"finalizers": None}}))


def test_retained_keys_of_a_strategy(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    patched = admin.must(admin.strategic(deployments(namespace, "web"), patch))
    assert patched["spec"]["strategy"] == {"type": "Recreate"}


def test_kinds_without_merge_keys_refuse_strategic_patches(admin: Client, namespace: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    answer = admin.strategic(virtual_services(namespace, "reviews"), {"spec": {"hosts": ["a"]}})
    assert answer.status == 415
    assert answer.json["reason"] == "UnsupportedMediaType"


def test_a_patch_is_validated_as_a_whole(admin: Client, namespace: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    answer = admin.merge(virtual_services(namespace, "reviews"), {"spec": {"http": [{"timeout": "never"}]}})
    assert answer.status == 422


def test_patches_cannot_rename(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    assert admin.merge(config_maps(namespace, "one"), {"metadata": {"name": "two"}}).status == 400


def test_status_is_written_apart(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(deployments(namespace), deployment()))
    sent = made | {"status": {"replicas": 3}, "spec": made["spec"] | {"replicas": 9}}
    written = admin.must(admin.put(deployments(namespace, "web") + "/status", sent))
    assert written["status"] == {"replicas": 3}
    assert written["spec"]["replicas"] == 1
    assert written["metadata"]["generation"] == 1
    kept = admin.must(admin.merge(deployments(namespace, "web"), {"status": {"replicas": 7}}))
    assert kept["status"] == {"replicas": 3}
    stale = made | {"status": {"replicas": 4}}
    assert admin.put(deployments(namespace, "web") + "/status", stale).status == 409
    patched = admin.must(admin.merge(deployments(namespace, "web") + "/status", {"status": {"readyReplicas": 1}}))
    assert patched["status"] == {"readyReplicas": 1, "replicas": 3}
    assert admin.get(deployments(namespace, "web") + "/status").json == patched


def test_kinds_without_status_have_no_such_path(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), config_map()))
    assert admin.get(config_maps(namespace, "one") + "/status").status == 404


def test_scale_is_a_part_of_workloads(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    where = deployments(namespace, "web") + "/scale"
    scale = admin.get(where).json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    assert admin.must(admin.merge(where, {"spec": {"replicas": 4}}))["spec"]["replicas"] == 4
    assert admin.get(deployments(namespace, "web")).json["spec"]["replicas"] == 4
    assert admin.put(where, scale | {"spec": {"replicas": 5}}).status == 409
    fresh = admin.get(where).json
    assert admin.must(admin.put(where, fresh | {"spec": {"replicas": 0}}))["spec"]["replicas"] == 0
    assert admin.merge(where, {"spec": {"replicas": -1}}).status == 422
    assert admin.get(config_maps(namespace, "one") + "/scale").status == 404


def test_patches_meet_without_losing_one(admin: Client, namespace: str) -> None:
    import threading

    admin.must(admin.post(config_maps(namespace), config_map()))
    where = config_maps(namespace, "one")
    answers: list[int] = []

    def write(number: int) -> None:
        answers.append(admin.merge(where, {"data": {f"k{number}": "x"}}).status)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert answers == [200] * 8
    assert len(admin.get(where).json["data"]) == 8
