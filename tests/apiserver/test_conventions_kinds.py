"""Conventions 126 to 166 and 168: discovery, schemas, and rules of single kinds."""

import base64
from typing import Any

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
from tests.apiserver.server import Client, Running
from tests.apiserver.statuses import fields, refused

EVERYTHING = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def every_resource(admin: Client) -> list[tuple[str, Any]]:
    """All resources of all versions, with the path below which they are."""
    found: list[tuple[str, Any]] = []
    versions = [("/api/v1", admin.must(admin.get("/api/v1")))]
    for group in admin.must(admin.get("/apis"))["groups"]:
        for version in group["versions"]:
            path = f"/apis/{version['groupVersion']}"
            versions.append((path, admin.must(admin.get(path))))
    for path, listed in versions:
        found += [(path, entry) for entry in listed["resources"]]
    return found


def test_126_everything_that_can_be_listed_is_a_list(admin: Client) -> None:
    for path, entry in every_resource(admin):
        if "list" in entry["verbs"]:
            listed = admin.must(admin.get(f"{path}/{entry['name']}"))
            assert listed["kind"] == f"{entry['kind']}List"
            assert listed["metadata"]["resourceVersion"]


def test_127_both_ways_of_discovery_tell_the_same(admin: Client) -> None:
    one_by_one = {
        (path, entry["name"], entry["kind"], tuple(sorted(entry["verbs"]))) for path, entry in every_resource(admin)
    }
    at_once: set[tuple[str, str, str, tuple[str, ...]]] = set()
    for root in ("/api", "/apis"):
        for group in admin.must(admin.get(root, Accept=EVERYTHING))["items"]:
            name = group["metadata"]["name"]
            for version in group["versions"]:
                path = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
                for entry in version["resources"]:
                    plural, kind = entry["resource"], entry["responseKind"]["kind"]
                    at_once.add((path, plural, kind, tuple(sorted(entry["verbs"]))))
                    for part in entry.get("subresources", ()):
                        parts = (f"{plural}/{part['subresource']}", part["responseKind"]["kind"])
                        at_once.add((path, *parts, tuple(sorted(part["verbs"]))))
    assert at_once == one_by_one


def test_128_the_first_version_of_a_group_is_the_preferred_one(admin: Client) -> None:
    for group in admin.must(admin.get("/apis"))["groups"]:
        assert group["preferredVersion"] == group["versions"][0]
    networking = admin.must(admin.get("/apis/networking.istio.io"))
    assert [version["version"] for version in networking["versions"]] == ["v1", "v1beta1", "v1alpha3"]


def test_129_names_and_short_names_are_unique(admin: Client) -> None:
    seen: dict[str, str] = {}
    for path, entry in every_resource(admin):
        if "/" in entry["name"]:
            continue
        for name in {entry["name"], entry["singularName"], *entry.get("shortNames", ())} - {""}:
            owner = f"{path.rsplit('/', 1)[0]}/{entry['name']}"
            assert seen.setdefault(name, owner) == owner


@pytest.mark.parametrize("plural", ["pods", "services", "deployments", "replicasets", "statefulsets"])
def test_130_what_all_means(admin: Client, plural: str) -> None:
    (entry,) = [entry for _, entry in every_resource(admin) if entry["name"] == plural]
    assert "all" in entry["categories"]


def test_131_every_kind_has_a_schema_with_its_name_in_every_version(admin: Client) -> None:
    for path in admin.must(admin.get("/openapi/v3"))["paths"]:
        document = admin.must(admin.get(f"/openapi/v3/{path}"))
        marked = {
            (mark["group"], mark["version"], mark["kind"])
            for schema in document["components"]["schemas"].values()
            for mark in schema.get("x-kubernetes-group-version-kind", ())
        }
        listed = admin.must(admin.get(f"/{path}"))["resources"]
        group, _, version = path.removeprefix("apis/").removeprefix("api/").rpartition("/")
        assert {
            (group, version, e["kind"]) for e in listed if "/" not in e["name"] and "list" in e["verbs"]
        } <= marked


def test_132_the_index_of_schemas_names_their_content(admin: Client) -> None:
    for entry in admin.must(admin.get("/openapi/v3"))["paths"].values():
        assert "?hash=" in entry["serverRelativeURL"]
        assert admin.get(entry["serverRelativeURL"]).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_133_health_is_ok_in_one_word_and_in_detail_when_asked(admin: Client, path: str) -> None:
    assert admin.get(path).text == b"ok"
    detail = admin.get(f"{path}?verbose").text.decode()
    assert "[+]ping ok" in detail
    assert detail.rstrip().endswith(f"{path[1:]} check passed")


def test_134_the_root_lists_what_there_is(admin: Client) -> None:
    paths = admin.must(admin.get("/"))["paths"]
    assert {"/api", "/api/v1", "/apis", "/apis/apps/v1", "/healthz", "/openapi/v3", "/version"} <= set(paths)


def test_135_a_new_service_has_an_address(admin: Client, namespace: str) -> None:
    spec = admin.must(admin.post(services(namespace), service()))["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["type"], spec["ipFamilies"], spec["ipFamilyPolicy"]) == ("ClusterIP", ["IPv4"], "SingleStack")


def test_136_the_address_of_a_service_stays(admin: Client, namespace: str) -> None:
    first = admin.must(admin.post(services(namespace), service()))
    bare = service("web", 80, 81)
    assert admin.must(admin.put(services(namespace, "web"), bare))["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    gone = admin.patch(services(namespace, "web"), [{"op": "remove", "path": "/spec/clusterIP"}])
    assert admin.must(gone)["spec"]["clusterIP"] == first["spec"]["clusterIP"]


@pytest.mark.parametrize("address", ["10.9.8.7", "None"])
def test_137_the_address_of_a_service_cannot_be_changed(admin: Client, namespace: str, address: str) -> None:
    admin.must(admin.post(services(namespace), service()))
    change = {"spec": {"clusterIP": address, "clusterIPs": [address]}}
    assert "spec.clusterIP" in fields(refused(admin.merge(services(namespace, "web"), change), 422, "Invalid"))


def test_138_two_services_cannot_have_one_address(admin: Client, namespace: str) -> None:
    taken = admin.must(admin.post(services(namespace), service()))["spec"]["clusterIP"]
    second = service("other")
    second["spec"]["clusterIP"] = taken
    status = refused(admin.post(services(namespace), second), 422, "Invalid")
    assert status["message"].startswith('Service "other" is invalid: spec.clusterIPs: ')
    assert "already allocated" in status["message"]


def test_139_headless_services_and_names_of_others_have_no_address(admin: Client, namespace: str) -> None:
    headless = service("a")
    headless["spec"]["clusterIP"] = "None"
    assert admin.must(admin.post(services(namespace), headless))["spec"]["clusterIPs"] == ["None"]
    other: dict[str, Any] = {
        "metadata": {"name": "b"},
        "spec": {"type": "ExternalName", "externalName": "example.com"},
    }
    assert "clusterIP" not in admin.must(admin.post(services(namespace), other))["spec"]


def test_140_nobody_owns_the_address_that_the_server_chose(admin: Client, namespace: str) -> None:
    applied = admin.must(admin.apply(services(namespace, "web"), service(), "me"))
    (entry,) = applied["metadata"]["managedFields"]
    assert "f:clusterIP" not in entry["fieldsV1"]["f:spec"]
    again = admin.must(admin.apply(services(namespace, "web"), service(), "me"))
    assert again["spec"]["clusterIP"] == applied["spec"]["clusterIP"]


def test_141_a_dry_run_shows_the_address_that_a_service_would_get(admin: Client, namespace: str) -> None:
    shown = admin.must(admin.post(f"{services(namespace)}?dryRun=All", service()))["spec"]["clusterIP"]
    assert admin.must(admin.post(services(namespace), service()))["spec"]["clusterIP"] == shown


def test_142_a_pod_has_a_service_account_a_policy_and_a_time(admin: Client, namespace: str) -> None:
    spec = admin.must(admin.post(pods(namespace), pod()))["spec"]
    assert spec["serviceAccountName"] == "default"
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Always", 30)


def test_143_a_new_pod_is_pending(admin: Client, namespace: str) -> None:
    assert admin.must(admin.post(pods(namespace), pod()))["status"]["phase"] == "Pending"


def test_144_a_pod_without_containers_is_422(admin: Client, namespace: str) -> None:
    value = pod()
    value["spec"]["containers"] = []
    assert "spec.containers" in fields(refused(admin.post(pods(namespace), value), 422, "Invalid"))


def test_145_two_containers_cannot_have_one_name(admin: Client, namespace: str) -> None:
    value = pod()
    value["spec"]["containers"] *= 2
    status = refused(admin.post(pods(namespace), value), 422, "Invalid")
    assert any(field.startswith("spec.containers[1]") for field in fields(status))


def test_146_a_deployment_selects_its_own_template(admin: Client, namespace: str) -> None:
    value = deployment()
    value["spec"]["selector"]["matchLabels"] = {"app": "other"}
    status = refused(admin.post(deployments(namespace), value), 422, "Invalid")
    assert any("selector" in field or "labels" in field for field in fields(status))


def test_147_the_selector_of_a_deployment_stays(admin: Client, namespace: str) -> None:
    admin.must(admin.post(deployments(namespace), deployment()))
    value = deployment()
    value["spec"]["selector"]["matchLabels"] = {"app": "web", "more": "x"}
    value["spec"]["template"]["metadata"]["labels"] = {"app": "web", "more": "x"}
    assert "spec.selector" in fields(refused(admin.put(deployments(namespace, "web"), value), 422, "Invalid"))


def test_148_secrets_hold_base64(admin: Client, namespace: str) -> None:
    where = f"/api/v1/namespaces/{namespace}/secrets"
    refused(admin.post(where, {"metadata": {"name": "s"}, "data": {"a": "no base64!"}}), 422, "Invalid")
    made = admin.must(admin.post(where, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}))
    assert made["data"] == {"a": base64.b64encode(b"b").decode()}
    assert made["type"] == "Opaque"


@pytest.mark.parametrize("key", ["a b", "a/b", "", "x" * 254])
def test_149_keys_of_config_maps_are_file_names(admin: Client, namespace: str, key: str) -> None:
    refused(admin.post(config_maps(namespace), config_map(**{key: "x"})), 422, "Invalid")


def test_150_a_key_is_text_or_bytes_but_not_both(admin: Client, namespace: str) -> None:
    value = {**config_map(a="b"), "binaryData": {"a": base64.b64encode(b"c").decode()}}
    refused(admin.post(config_maps(namespace), value), 422, "Invalid")


def test_151_a_config_map_has_a_greatest_size(admin: Client, namespace: str) -> None:
    value = config_map(a="x" * 600_000, b="y" * 600_000)
    status = refused(admin.post(config_maps(namespace), value), 422, "Invalid")
    assert "Too long" in status["message"]
    assert "" not in fields(status), "kubectl prints the field before the message"


def test_166_empty_values_are_values(admin: Client, namespace: str) -> None:
    made = admin.must(admin.post(config_maps(namespace), config_map(a="")))
    assert made["data"] == {"a": ""}


def test_152_what_is_marked_immutable_stays(admin: Client, namespace: str) -> None:
    admin.must(admin.post(config_maps(namespace), {**config_map(a="b"), "immutable": True}))
    status = refused(admin.merge(config_maps(namespace, "one"), {"data": {"a": "c"}}), 422, "Invalid")
    assert fields(status) == ["data"]
    assert admin.merge(config_maps(namespace, "one"), {"metadata": {"labels": {"a": "b"}}}).status == 200


@pytest.mark.parametrize(
    ("key", "value"), [("a b", "x"), ("a", "x y"), ("a", "x" * 64), ("-", "x"), ("A.B/C/d", "x")]
)
def test_153_labels_have_a_form(admin: Client, namespace: str, key: str, value: str) -> None:
    labelled = config_map()
    labelled["metadata"]["labels"] = {key: value}
    status = refused(admin.post(config_maps(namespace), labelled), 422, "Invalid")
    assert all(field.startswith("metadata.labels") for field in fields(status))


def test_154_annotations_have_a_greatest_size(admin: Client, namespace: str) -> None:
    value = config_map()
    value["metadata"]["annotations"] = {"a": "x" * (256 * 1024)}
    assert "metadata.annotations" in fields(refused(admin.post(config_maps(namespace), value), 422, "Invalid"))


def test_155_of_several_owners_only_one_is_in_control(admin: Client, namespace: str) -> None:
    value = config_map()
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "controller": True}
    value["metadata"]["ownerReferences"] = [{**owner, "uid": "1"}, {**owner, "uid": "2"}]
    assert "metadata.ownerReferences" in fields(refused(admin.post(config_maps(namespace), value), 422, "Invalid"))


def test_156_endpoints_and_slices_are_served(admin: Client, namespace: str) -> None:
    endpoints: dict[str, Any] = {
        "metadata": {"name": "web"},
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}],
    }
    where = f"/api/v1/namespaces/{namespace}/endpoints"
    made = admin.must(admin.post(where, endpoints))
    assert made["kind"] == "Endpoints"
    table = admin.must(admin.get(where, Accept="application/json;as=Table;g=meta.k8s.io;v=v1"))
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Endpoints", "Age"]
    assert table["rows"][0]["cells"][1] == "10.0.0.1:80"


def test_157_revisions_of_controllers_are_served(admin: Client, namespace: str) -> None:
    where = f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions"
    value = {"metadata": {"name": "web-1"}, "data": {"spec": {"anything": [1]}}, "revision": 1}
    assert admin.must(admin.post(where, value))["data"] == {"spec": {"anything": [1]}}
    changed = {**value, "data": {}}
    assert fields(refused(admin.put(f"{where}/web-1", changed), 422, "Invalid")) == ["data"]


def test_158_names_of_services_start_with_a_letter(admin: Client, namespace: str) -> None:
    assert "metadata.name" in fields(refused(admin.post(services(namespace), service("1a")), 422, "Invalid"))
    assert "metadata.name" in fields(refused(admin.post(services(namespace), service("a.b")), 422, "Invalid"))


@pytest.mark.parametrize("port", [0, 65536, "http"])
def test_159_ports_of_services_are_numbers_that_exist(admin: Client, namespace: str, port: object) -> None:
    value = service()
    value["spec"]["ports"][0]["port"] = port
    assert "spec.ports[0].port" in fields(refused(admin.post(services(namespace), value), 422, "Invalid"))


def test_160_several_ports_need_names_of_their_own(admin: Client, namespace: str) -> None:
    value = service("web", 80, 81)
    value["spec"]["ports"][1]["name"] = value["spec"]["ports"][0]["name"]
    status = refused(admin.post(services(namespace), value), 422, "Invalid")
    assert any(field.startswith("spec.ports[1]") for field in fields(status))


def test_161_kinds_of_the_mesh_follow_the_same_rules(admin: Client, namespace: str) -> None:
    where = virtual_services(namespace)
    first = admin.must(admin.post(where, virtual_service()))
    refused(admin.post(where, virtual_service()), 409, "AlreadyExists")
    stale = {**first, "spec": {"hosts": ["x"]}}
    admin.must(admin.merge(f"{where}/reviews", {"metadata": {"labels": {"a": "b"}}}))
    refused(admin.put(f"{where}/reviews", stale), 409, "Conflict")
    broken = virtual_service("broken")
    broken["spec"]["http"][0]["route"][0]["weight"] = "many"
    status = refused(admin.post(where, broken), 422, "Invalid")
    assert status["message"].startswith('VirtualService.networking.istio.io "broken" is invalid: ')
    assert fields(status) == ["spec.http[0].route[0].weight"]


def test_162_an_object_written_in_one_version_is_watched_in_another(admin: Client, namespace: str) -> None:
    where = f"{virtual_services(namespace, version='v1beta1')}?watch=1&timeoutSeconds=5"
    with admin.watch(where) as events:
        admin.must(admin.post(virtual_services(namespace, version="v1alpha3"), virtual_service(version="v1alpha3")))
        assert events.next()["object"]["apiVersion"] == "networking.istio.io/v1beta1"


def test_163_what_may_i_do_is_asked_by_creating(reader: Client) -> None:
    question = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}}
    where = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = reader.post(where, question)
    assert answer.status == 201
    assert answer.json["status"]["allowed"] is True
    question["spec"]["resourceAttributes"]["verb"] = "delete"
    assert reader.post(where, question).json["status"]["allowed"] is False


def test_164_a_version_is_told_without_a_token(server: Running) -> None:
    nobody = Client(server.port, "", server.admin.tls)
    version = nobody.get("/version").json
    assert (version["major"], version["minor"]) == ("1", "37")
    wanted = {"gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"}
    assert wanted <= {name for name, text in version.items() if isinstance(text, str)}


def test_165_the_namespace_of_a_body_may_be_left_out_but_not_be_another(admin: Client, namespace: str) -> None:
    value = config_map()
    assert admin.must(admin.post(config_maps(namespace), value))["metadata"]["namespace"] == namespace
    value["metadata"] = {"name": "two", "namespace": "default"}
    refused(admin.post(config_maps(namespace), value), 400, "BadRequest")


@pytest.mark.parametrize("address", ["here", "300.1.1.1", "10.0.0.0/8"])
def test_168_the_address_of_a_service_is_an_address(admin: Client, namespace: str, address: str) -> None:
    value = service()
    value["spec"]["clusterIP"] = address
    assert "spec.clusterIP" in fields(refused(admin.post(services(namespace), value), 422, "Invalid"))
