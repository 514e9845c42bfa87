"""Conventions 91 to 125: lists, pages, versions of lists, and watches."""

from typing import Any

import pytest

from tests.apiserver.objects import config_map, config_maps, pod, pods
from tests.apiserver.server import Client, Events
from tests.apiserver.statuses import refused


def filled(admin: Client, namespace: str, *names: str) -> str:
    """ConfigMaps of these names; the version of the list of them."""
    for name in names:
        value = config_map(name)
        value["metadata"]["labels"] = {"name": name, "kind": "test"}
        admin.must(admin.post(config_maps(namespace), value))
    return admin.must(admin.get(config_maps(namespace)))["metadata"]["resourceVersion"]


def names_of(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def heard(events: Events, count: int) -> list[tuple[str, str]]:
    """The next events: what happened to which object."""
    told = [events.next() for _ in range(count)]
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in told]


def test_091_pages_say_how_many_follow_and_the_last_has_no_token(admin: Client, namespace: str) -> None:
    filled(admin, namespace, *"abcde")
    first = admin.must(admin.get(f"{config_maps(namespace)}?limit=2"))
    assert first["metadata"]["remainingItemCount"] == 3
    token = first["metadata"]["continue"]
    second = admin.must(admin.get(f"{config_maps(namespace)}?limit=3&continue={token}"))
    assert names_of(first) + names_of(second) == list("abcde")
    assert "continue" not in second["metadata"]
    assert "remainingItemCount" not in second["metadata"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_092_with_a_selector_nobody_knows_how_many_follow(admin: Client, namespace: str) -> None:
    filled(admin, namespace, *"abc")
    page = admin.must(admin.get(f"{config_maps(namespace)}?limit=1&labelSelector=kind=test"))
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


def test_093_a_limit_of_zero_is_none(admin: Client, namespace: str) -> None:
    filled(admin, namespace, *"abc")
    assert names_of(admin.must(admin.get(f"{config_maps(namespace)}?limit=0"))) == list("abc")


@pytest.mark.parametrize("token", ["x", "e30=", "%00"])
def test_094_a_token_of_somebody_else_is_400(admin: Client, namespace: str, token: str) -> None:
    refused(admin.get(f"{config_maps(namespace)}?limit=1&continue={token}"), 400, "BadRequest")


def test_095_a_token_and_a_version_exclude_each_other(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, *"ab")
    token = admin.must(admin.get(f"{config_maps(namespace)}?limit=1"))["metadata"]["continue"]
    query = f"limit=1&continue={token}&resourceVersion={version}"
    refused(admin.get(f"{config_maps(namespace)}?{query}"), 400, "BadRequest")


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Sometimes&resourceVersion=1",
        "sendInitialEvents=true",
        "watch=true&sendInitialEvents=true",
        "watch=true&resourceVersionMatch=NotOlderThan",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1",
    ],
)
def test_096_options_of_lists_that_do_not_go_together_are_422(admin: Client, namespace: str, query: str) -> None:
    refused(admin.get(f"{config_maps(namespace)}?{query}"), 422, "Invalid")


@pytest.mark.parametrize("version", ["abc", "-1", "1.5", "99999999999999999999"])
def test_097_what_is_no_version_is_400(admin: Client, namespace: str, version: str) -> None:
    refused(admin.get(f"{config_maps(namespace)}?resourceVersion={version}"), 400, "BadRequest")
    refused(admin.get(f"{config_maps(namespace)}?watch=1&resourceVersion={version}"), 400, "BadRequest")


def test_098_any_version_and_not_older_show_the_newest(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, *"ab")
    filled(admin, namespace, "c")
    for query in ("resourceVersion=0", f"resourceVersion={version}",
                  f"resourceVersion={version}&resourceVersionMatch=NotOlderThan"):  # fmt: skip
        assert names_of(admin.must(admin.get(f"{config_maps(namespace)}?{query}"))) == list("abc")


def test_099_exact_shows_that_moment_also_over_pages(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, *"ab")
    filled(admin, namespace, "c")
    exact = f"{config_maps(namespace)}?resourceVersion={version}&resourceVersionMatch=Exact&limit=1"
    first = admin.must(admin.get(exact))
    assert first["metadata"]["resourceVersion"] == version
    rest = admin.must(admin.get(f"{config_maps(namespace)}?continue={first['metadata']['continue']}"))
    assert names_of(first) + names_of(rest) == ["a", "b"]


def test_100_one_object_can_be_asked_for_at_any_version(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, "a")
    for query in ("", "?resourceVersion=0", f"?resourceVersion={version}"):
        assert admin.get(f"{config_maps(namespace, 'a')}{query}").status == 200


def test_101_lists_of_all_namespaces_are_sorted_by_namespace_and_name(admin: Client, namespace: str) -> None:
    other = f"{namespace}-b"
    admin.must(admin.post("/api/v1/namespaces", {"metadata": {"name": other}}))
    filled(admin, other, "a")
    filled(admin, namespace, "b", "a")
    listed = admin.must(admin.get("/api/v1/configmaps?labelSelector=kind=test"))
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listed["items"]]
    assert keys == sorted(keys)
    assert {(namespace, "a"), (namespace, "b"), (other, "a")} <= set(keys)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=b", "b"),
        ("metadata.name!=b", "ac"),
        ("metadata.name==b", "b"),
        ("metadata.name=b,metadata.name=c", ""),
    ],
)
def test_102_fields_select_by_equality(admin: Client, namespace: str, selector: str, expected: str) -> None:
    filled(admin, namespace, *"abc")
    assert names_of(admin.must(admin.get(f"{config_maps(namespace)}?fieldSelector={selector}"))) == list(expected)


def test_103_pods_are_selected_by_node_and_phase(admin: Client, namespace: str) -> None:
    admin.must(admin.post(pods(namespace), pod("here", "n1")))
    admin.must(admin.post(pods(namespace), pod("there", "n2")))
    admin.must(admin.post(pods(namespace), pod("waits")))
    by_node = f"{pods(namespace)}?fieldSelector=spec.nodeName=n1"
    assert names_of(admin.must(admin.get(by_node))) == ["here"]
    nowhere = f"{pods(namespace)}?fieldSelector=spec.nodeName="
    assert names_of(admin.must(admin.get(nowhere))) == ["waits"]
    phase = f"{pods(namespace)}?fieldSelector=status.phase!=Running"
    assert names_of(admin.must(admin.get(phase))) == ["here", "there", "waits"]


def test_104_events_are_selected_by_what_they_are_about(admin: Client, namespace: str) -> None:
    for name in ("a", "b"):
        event = {
            "metadata": {"name": f"{name}.1"},
            "involvedObject": {"kind": "Pod", "name": name, "namespace": namespace},
            "reason": "Test",
            "type": "Normal",
        }
        admin.must(admin.post(f"/api/v1/namespaces/{namespace}/events", event))
    query = "fieldSelector=involvedObject.name=b,involvedObject.kind=Pod,type=Normal"
    listed = admin.must(admin.get(f"/api/v1/namespaces/{namespace}/events?{query}"))
    assert names_of(listed) == ["b.1"]


def test_105_a_field_that_cannot_select_is_400_and_named(admin: Client, namespace: str) -> None:
    status = refused(admin.get(f"{config_maps(namespace)}?fieldSelector=data.a=b"), 400, "BadRequest")
    assert "field label not supported: data.a: use one of metadata.name, metadata.namespace" in status["message"]


def test_106_lists_as_metadata_alone(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = admin.must(admin.get(config_maps(namespace), Accept=accept))
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize(
    ("include", "kind"), [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "ConfigMap")]
)
def test_107_rows_of_tables_carry_what_is_asked_for(
    admin: Client, namespace: str, include: str, kind: str | None
) -> None:
    filled(admin, namespace, "a")
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    table = admin.must(admin.get(f"{config_maps(namespace)}?includeObject={include}", Accept=accept))
    assert table["kind"] == "Table"
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    assert table["rows"][0].get("object", {}).get("kind") == kind


def test_108_the_first_form_that_can_be_given_is_taken(admin: Client, namespace: str) -> None:
    accept = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1,application/json"  # fmt: skip  # noqa: E501 - as kubectl says it
    answer = admin.get(config_maps(namespace), Accept=accept)
    assert answer.json["kind"] == "Table"
    assert "as=Table" in answer.headers["Content-Type"]


def test_109_a_watch_without_a_version_begins_with_what_is_there(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a", "b")
    with admin.watch(f"{config_maps(namespace)}?watch=1&timeoutSeconds=5") as events:
        assert heard(events, 2) == [("ADDED", "a"), ("ADDED", "b")]


def test_110_a_watch_from_zero_begins_with_what_is_there(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a")
    with admin.watch(f"{config_maps(namespace)}?watch=1&resourceVersion=0&timeoutSeconds=5") as events:
        assert heard(events, 1) == [("ADDED", "a")]


def test_111_a_watch_from_a_version_leaves_out_what_was_before(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, "a")
    filled(admin, namespace, "b")
    where = f"{config_maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=5"
    with admin.watch(where) as events:
        assert heard(events, 1) == [("ADDED", "b")]


def test_112_events_carry_growing_versions_and_the_last_state_of_what_went(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace)
    with admin.watch(f"{config_maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=5") as events:
        filled(admin, namespace, "a")
        admin.must(admin.merge(config_maps(namespace, "a"), {"data": {"x": "y"}}))
        admin.must(admin.delete(config_maps(namespace, "a")))
        seen = [events.next() for _ in range(3)]
    assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))
    assert seen[2]["object"]["data"] == {"x": "y"}


def test_113_events_are_objects_with_kind_and_version(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a")
    with admin.watch(f"{config_maps(namespace)}?watch=1&timeoutSeconds=5") as events:
        value = events.next()["object"]
    assert (value["kind"], value["apiVersion"]) == ("ConfigMap", "v1")


def test_114_a_write_that_changes_nothing_is_no_event(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, "a")
    with admin.watch(f"{config_maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=5") as events:
        admin.must(admin.merge(config_maps(namespace, "a"), {"metadata": {"labels": {"name": "a"}}}))
        filled(admin, namespace, "b")
        assert heard(events, 1) == [("ADDED", "b")]


def test_115_initial_events_end_with_a_marked_bookmark(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a", "b")
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    with admin.watch(f"{config_maps(namespace)}?{query}&timeoutSeconds=5") as events:
        assert heard(events, 2) == [("ADDED", "a"), ("ADDED", "b")]
        mark = events.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["kind"] == "ConfigMap"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_116_initial_events_wait_for_a_version_that_was_asked_for(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, "a")
    query = f"watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={version}"
    with admin.watch(f"{config_maps(namespace)}?{query}&allowWatchBookmarks=true&timeoutSeconds=5") as events:
        assert heard(events, 1) == [("ADDED", "a")]
        mark = events.next()["object"]["metadata"]
    assert int(mark["resourceVersion"]) >= int(version)


def test_117_without_initial_events_a_watch_tells_only_what_comes(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a")
    query = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=5"
    with admin.watch(f"{config_maps(namespace)}?{query}") as events:
        filled(admin, namespace, "b")
        assert heard(events, 1) == [("ADDED", "b")]


def test_118_no_bookmark_comes_unasked(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace)
    where = f"{config_maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=1"
    with admin.watch(where) as events:
        assert events.rest() == []
    with admin.watch(f"{where}&allowWatchBookmarks=true") as events:
        assert {event["type"] for event in events.rest()} == {"BOOKMARK"}


def test_119_a_bookmark_is_a_place_to_go_on_from(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace, "a")
    where = f"{config_maps(namespace)}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1"
    with admin.watch(f"{where}&resourceVersion={version}") as events:
        mark = events.rest()[-1]["object"]["metadata"]["resourceVersion"]
    filled(admin, namespace, "b")
    with admin.watch(f"{where}&resourceVersion={mark}") as events:
        assert heard(events, 1) == [("ADDED", "b")]


def test_120_a_watch_of_a_future_version_ends_with_an_error(admin: Client, namespace: str) -> None:
    with admin.watch(f"{config_maps(namespace)}?watch=1&resourceVersion=999999999&timeoutSeconds=5") as events:
        last = events.rest()[-1]
    assert last["type"] == "ERROR"
    assert (last["object"]["code"], last["object"]["reason"]) == (504, "Timeout")


def test_121_a_watch_of_metadata_alone(admin: Client, namespace: str) -> None:
    filled(admin, namespace, "a")
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    with admin.watch(f"{config_maps(namespace)}?watch=1&timeoutSeconds=5", accept) as events:
        value = events.next()["object"]
    assert value["kind"] == "PartialObjectMetadata"
    assert "data" not in value


def test_122_selected_objects_that_change_out_of_the_selector_are_deleted_there(
    admin: Client, namespace: str
) -> None:
    version = filled(admin, namespace, "a")
    where = f"{config_maps(namespace)}?watch=1&labelSelector=name=a&resourceVersion={version}&timeoutSeconds=5"
    with admin.watch(where) as events:
        admin.must(admin.merge(config_maps(namespace, "a"), {"metadata": {"labels": {"name": "b"}}}))
        admin.must(admin.merge(config_maps(namespace, "a"), {"metadata": {"labels": {"name": "a"}}}))
        assert heard(events, 2) == [("DELETED", "a"), ("ADDED", "a")]


def test_123_deleting_a_held_object_is_modified_then_deleted(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace)
    value = config_map("a")
    value["metadata"]["finalizers"] = ["example.com/hold"]
    with admin.watch(f"{config_maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=5") as events:
        admin.must(admin.post(config_maps(namespace), value))
        admin.must(admin.delete(config_maps(namespace, "a")))
        admin.must(admin.merge(config_maps(namespace, "a"), {"metadata": {"finalizers": None}}))
        assert heard(events, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_124_a_watch_of_all_namespaces_hears_all_of_them(admin: Client, namespace: str) -> None:
    version = filled(admin, namespace)
    where = f"/api/v1/configmaps?watch=1&resourceVersion={version}&labelSelector=kind=test&timeoutSeconds=5"
    with admin.watch(where) as events:
        filled(admin, namespace, "a")
        assert events.next()["object"]["metadata"]["namespace"] == namespace


def test_125_forbidden_and_unknown_watches_are_refused_before_they_begin(
    admin: Client, reader: Client, namespace: str
) -> None:
    refused(reader.get(f"{config_maps(namespace)}?watch=1"), 403, "Forbidden")
    refused(admin.get(f"/api/v1/namespaces/{namespace}/unicorns?watch=1"), 404, "NotFound")
    refused(admin.get(f"{config_maps(namespace)}?watch=1&labelSelector=a%20b%20c"), 400, "BadRequest")
