"""Lists and watches: selectors, pages, versions, bookmarks, and that both tell the same story."""

import threading
from typing import Any

import pytest

from meshwright.store.limits import Limits
from tests.apiserver.objects import config_map, config_maps, pod, pods, virtual_service, virtual_services
from tests.apiserver.server import Client, running

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def _fill(admin: Client, namespace: str, count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(count):
        value = config_map(f"c{number:02}", n=str(number))
        value["metadata"]["labels"] = {"parity": "odd" if number % 2 else "even", "n": str(number)}
        made.append(admin.must(admin.post(config_maps(namespace), value)))
    return made


def _names(listed: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def test_a_list_has_a_version_and_sorted_items(admin: Client, namespace: str) -> None:
    made = _fill(admin, namespace, 3)
    listed = admin.get(config_maps(namespace)).json
    assert listed["kind"] == "ConfigMapList"
    assert listed["apiVersion"] == "v1"
    assert listed["items"] == made
    assert int(listed["metadata"]["resourceVersion"]) >= int(made[-1]["metadata"]["resourceVersion"])


def test_an_empty_list_is_a_list(admin: Client, namespace: str) -> None:
    assert admin.get(virtual_services(namespace)).json["items"] == []


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=odd", ["c01", "c03"]),
        ("parity==odd", ["c01", "c03"]),
        ("parity!=odd", ["c00", "c02"]),
        ("n in (1,2)", ["c01", "c02"]),
        ("n notin (1,2)", ["c00", "c03"]),
        ("parity", ["c00", "c01", "c02", "c03"]),
        ("!parity", []),
        ("parity=odd,n=3", ["c03"]),
    ],
)
def test_label_selectors(admin: Client, namespace: str, selector: str, expected: list[str]) -> None:
    _fill(admin, namespace, 4)
    query = "?labelSelector=" + selector.replace("=", "%3D").replace(" ", "%20").replace(",", "%2C")
    assert _names(admin.get(config_maps(namespace) + query).json) == expected


@pytest.mark.parametrize("query", ["labelSelector=a%20b", "labelSelector=a%3Db%2C", "fieldSelector=spec.x%3D1"])
def test_selectors_that_make_no_sense_are_400(admin: Client, namespace: str, query: str) -> None:
    assert admin.get(f"{config_maps(namespace)}?{query}").status == 400


def test_field_selectors(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 3)
    assert _names(admin.get(config_maps(namespace) + "?fieldSelector=metadata.name%3Dc01").json) == ["c01"]
    everywhere = admin.get(f"/api/v1/configmaps?fieldSelector=metadata.namespace%3D{namespace}").json
    assert _names(everywhere) == ["c00", "c01", "c02"]
    admin.must(admin.post(pods(namespace), pod("a", "node-1")))
    admin.must(admin.post(pods(namespace), pod("b")))
    assert _names(admin.get(pods(namespace) + "?fieldSelector=spec.nodeName%3Dnode-1").json) == ["a"]


def test_pages_show_one_moment(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 5)
    first = admin.get(config_maps(namespace) + "?limit=2").json
    assert _names(first) == ["c00", "c01"]
    assert first["metadata"]["remainingItemCount"] == 3
    admin.must(admin.delete(config_maps(namespace, "c03")))
    second = admin.get(f"{config_maps(namespace)}?limit=2&continue={first['metadata']['continue']}").json
    assert _names(second) == ["c02", "c03"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    last = admin.get(f"{config_maps(namespace)}?limit=2&continue={second['metadata']['continue']}").json
    assert _names(last) == ["c04"]
    assert "continue" not in last["metadata"]
    assert admin.get(config_maps(namespace) + "?limit=2&continue=forged").status == 400
    assert admin.get(config_maps(namespace) + "?limit=many").status == 400


def test_a_list_of_an_earlier_moment(admin: Client, namespace: str) -> None:
    made = _fill(admin, namespace, 2)
    version = made[0]["metadata"]["resourceVersion"]
    exact = admin.get(f"{config_maps(namespace)}?resourceVersion={version}&resourceVersionMatch=Exact").json
    assert _names(exact) == ["c00"]
    assert exact["metadata"]["resourceVersion"] == version
    newer = admin.get(f"{config_maps(namespace)}?resourceVersion={version}&resourceVersionMatch=NotOlderThan").json
    assert _names(newer) == ["c00", "c01"]
    assert admin.get(f"{config_maps(namespace)}?resourceVersionMatch=Exact").status == 422
    assert admin.get(f"{config_maps(namespace)}?resourceVersion=x").status == 400


def test_a_version_that_is_not_there_yet(admin: Client, namespace: str) -> None:
    answer = admin.get(f"{config_maps(namespace)}?resourceVersion=999999999")
    assert answer.status == 504
    assert answer.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_from_a_list_tells_what_came_after(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 1)
    version = admin.get(config_maps(namespace)).json["metadata"]["resourceVersion"]
    with admin.watch(f"{config_maps(namespace)}?watch=true&resourceVersion={version}") as events:
        made = admin.must(admin.post(config_maps(namespace), config_map("new")))
        changed = admin.must(admin.merge(config_maps(namespace, "new"), {"data": {"a": "1"}}))
        admin.must(admin.delete(config_maps(namespace, "new")))
        assert events.next() == {"type": "ADDED", "object": made}
        assert events.next() == {"type": "MODIFIED", "object": changed}
        gone = events.next()
        assert gone["type"] == "DELETED"
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])


@pytest.mark.parametrize("query", ["watch=1", "watch=true&resourceVersion=0"])
def test_a_watch_from_nowhere_begins_with_what_is_there(admin: Client, namespace: str, query: str) -> None:
    made = _fill(admin, namespace, 2)
    with admin.watch(f"{config_maps(namespace)}?{query}") as events:
        assert [events.next() for _ in made] == [{"type": "ADDED", "object": value} for value in made]


def test_a_watch_of_one_object(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 2)
    with admin.watch(f"{config_maps(namespace)}?watch=true&fieldSelector=metadata.name%3Dc01") as events:
        assert events.next()["object"]["metadata"]["name"] == "c01"
        admin.must(admin.merge(config_maps(namespace, "c00"), {"data": {"x": "1"}}))
        admin.must(admin.merge(config_maps(namespace, "c01"), {"data": {"x": "1"}}))
        event = events.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("MODIFIED", "c01")


def test_objects_enter_and_leave_a_selector(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 1)
    version = admin.get(config_maps(namespace)).json["metadata"]["resourceVersion"]
    where = f"{config_maps(namespace)}?watch=true&resourceVersion={version}&labelSelector=parity%3Dodd"
    with admin.watch(where) as events:
        admin.must(admin.merge(config_maps(namespace, "c00"), {"metadata": {"labels": {"parity": "odd"}}}))
        admin.must(admin.merge(config_maps(namespace, "c00"), {"metadata": {"labels": {"parity": "even"}}}))
        assert [events.next()["type"], events.next()["type"]] == ["ADDED", "DELETED"]


def test_initial_events_end_with_a_bookmark(admin: Client, namespace: str) -> None:
    made = _fill(admin, namespace, 2)
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    with admin.watch(f"{config_maps(namespace)}?{query}") as events:
        assert [events.next()["object"] for _ in made] == made
        bookmark = events.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        version = bookmark["object"]["metadata"]["resourceVersion"]
        assert int(version) >= int(made[-1]["metadata"]["resourceVersion"])


def test_a_watch_ends_after_its_time_with_a_bookmark(admin: Client, namespace: str) -> None:
    query = "watch=true&timeoutSeconds=1&allowWatchBookmarks=true"
    with admin.watch(f"{config_maps(namespace)}?{query}") as events:
        last = events.rest()[-1]
    assert last["type"] == "BOOKMARK"
    assert last["object"]["kind"] == "ConfigMap"


def test_watches_of_tables_name_their_columns_once(admin: Client, namespace: str) -> None:
    admin.must(admin.post(virtual_services(namespace), virtual_service()))
    with admin.watch(f"{virtual_services(namespace)}?watch=true", TABLE) as events:
        admin.must(admin.merge(virtual_services(namespace, "reviews"), {"spec": {"hosts": ["ratings"]}}))
        first, second = events.next(), events.next()
    assert [column["name"] for column in first["object"]["columnDefinitions"]][:3] == ["Name", "Gateways", "Hosts"]
    assert second["object"]["columnDefinitions"] == []
    assert second["object"]["rows"][0]["cells"][2] == '["ratings"]'


def test_a_list_as_a_table(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 2)
    table = admin.get(config_maps(namespace), Accept=TABLE).json
    assert table["kind"] == "Table"
    assert [row["cells"][:2] for row in table["rows"]] == [["c00", 1], ["c01", 1]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = admin.get(config_maps(namespace) + "?includeObject=Object", Accept=TABLE).json
    assert whole["rows"][1]["object"]["data"] == {"n": "1"}
    bare = admin.get(config_maps(namespace) + "?includeObject=None", Accept=TABLE).json
    assert "object" not in bare["rows"][0]


def test_metadata_alone(admin: Client, namespace: str) -> None:
    _fill(admin, namespace, 1)
    one = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    found = admin.get(config_maps(namespace, "c00"), Accept=one).json
    assert found["kind"] == "PartialObjectMetadata"
    assert "data" not in found
    many = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listed = admin.get(config_maps(namespace), Accept=many).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert _names(listed) == ["c00"]


def test_protobuf_first_json_second_is_json(admin: Client, namespace: str) -> None:
    accept = "application/vnd.kubernetes.protobuf,application/json"
    assert admin.get(config_maps(namespace), Accept=accept).json["items"] == []
    assert admin.get(config_maps(namespace), Accept="application/vnd.kubernetes.protobuf").status == 406
    assert admin.get(config_maps(namespace), Accept="text/html, */*").status == 200


def test_versions_that_are_forgotten_are_410(tmp_path: Any) -> None:
    with running(tmp_path, Limits(events=10, pause_seconds=0)) as server:
        admin = server.admin
        first = admin.get(config_maps("default") + "?limit=1").json["metadata"]["resourceVersion"]
        token = ""
        for number in range(40):
            admin.must(admin.post(config_maps("default"), config_map(f"c{number:02}")))
            if number == 2:
                token = admin.get(config_maps("default") + "?limit=1").json["metadata"]["continue"]
        server.call(server.api.store.compact())
        with admin.watch(f"{config_maps('default')}?watch=true&resourceVersion={first}") as events:
            error = events.next()
        assert error["type"] == "ERROR"
        assert error["object"]["code"] == 410
        assert error["object"]["reason"] == "Expired"
        assert admin.get(f"{config_maps('default')}?limit=1&continue={token}").status == 410
        exact = f"{config_maps('default')}?resourceVersion={first}&resourceVersionMatch=Exact"
        assert admin.get(exact).status == 410


def test_many_writers_and_a_watcher_agree(admin: Client, namespace: str) -> None:
    version = admin.get(config_maps(namespace)).json["metadata"]["resourceVersion"]
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for step in range(8):
                name = f"w{writer}-{step % 3}"
                if admin.post(config_maps(namespace), config_map(name, step=str(step))).status == 409:
                    admin.must(admin.merge(config_maps(namespace, name), {"data": {"step": str(step)}}))
                if step % 4 == 3:
                    admin.must(admin.delete(config_maps(namespace, name)))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    with admin.watch(f"{config_maps(namespace)}?watch=true&resourceVersion={version}") as events:
        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert not failed
        end = admin.must(admin.post(config_maps(namespace), config_map("end")))["metadata"]["uid"]
        seen: dict[str, Any] = {}
        last = int(version)
        while True:
            event = events.next()
            metadata = event["object"]["metadata"]
            assert int(metadata["resourceVersion"]) > last, "each event once and in order"
            last = int(metadata["resourceVersion"])
            known = metadata["name"] in seen
            assert known is (event["type"] != "ADDED")
            if event["type"] == "DELETED":
                del seen[metadata["name"]]
            else:
                seen[metadata["name"]] = event["object"]
            if metadata["uid"] == end:
                break
    listed = admin.get(config_maps(namespace)).json["items"]
    assert listed == [seen[name] for name in sorted(seen)]
