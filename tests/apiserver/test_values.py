"""Small pieces: ages, sets of fields, protobuf bodies, kubeconfigs."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from meshwright.apiserver.columns import columns_of, short_age
from meshwright.apiserver.field_sets import from_json, readable, to_json
from meshwright.apiserver.field_texts import TEXTS
from meshwright.apiserver.kubeconfig import kubeconfig
from meshwright.apiserver.negotiation import Form, wanted
from meshwright.apiserver.protobuf import ProtobufError, decode
from meshwright.apiserver.resources import standard_catalogue
from meshwright.apiserver.schemas import load


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"),
        (12_600, "3h30m"), (100_000, "27h"), (200_000, "2d7h"), (8 * 86_400, "8d"), (3 * 365 * 86_400, "3y"),
        (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert short_age(seconds) == text


def test_sets_of_fields_come_back() -> None:
    item: dict[str, Any] = {"f:image": {}, ".": {}}
    spec: dict[str, Any] = {"f:a": {}, "f:l": {'k:{"name":"x"}': item}}
    tree: dict[str, Any] = {"f:spec": spec, "f:data": {".": {}, "f:k": {}}}
    paths = from_json(tree)
    assert to_json(paths) == tree
    assert readable(("f:spec", "f:l", 'k:{"name":"x"}', "f:image")) == '.spec.l[name="x"].image'


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes((number << 3, value))
    return bytes((number << 3 | 2, len(value))) + value


def _enveloped(api_version: str, kind: str, body: bytes) -> bytes:
    header = _field(1, api_version.encode()) + _field(2, kind.encode())
    return b"k8s\x00" + _field(1, header) + _field(2, body)


def test_protobuf_bodies_mean_what_json_does() -> None:
    definitions = load(standard_catalogue().rows).definitions
    metadata = _field(1, b"one") + _field(2, b"") + _field(11, _field(1, b"app") + _field(2, b"web")) + _field(8, b"")
    entry = _field(1, b"a") + _field(2, b"1")
    found = decode(_enveloped("v1", "ConfigMap", _field(1, metadata) + _field(2, entry) + _field(4, 0)), definitions)
    assert found == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "labels": {"app": "web"}},
        "data": {"a": "1"},
        "immutable": False,
    }
    port = _field(1, b"http") + _field(3, 80) + _field(4, _field(1, 1) + _field(3, b"web"))
    found = decode(_enveloped("v1", "Service", _field(2, _field(1, port))), definitions)
    assert found["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "web"}]
    options = decode(_enveloped("v1", "DeleteOptions", _field(1, 0) + _field(4, b"Orphan")), definitions)
    assert options["gracePeriodSeconds"] == 0
    assert options["propagationPolicy"] == "Orphan"
    with pytest.raises(ProtobufError, match="field 99"):
        decode(_enveloped("v1", "ConfigMap", b"\x9a\x06\x01x"), definitions)
    with pytest.raises(ProtobufError, match="not known"):
        decode(_enveloped("v1", "Unicorn", b""), definitions)


def test_the_first_alternative_that_can_be_given() -> None:
    assert wanted("application/json;as=Table;v=v9;g=meta.k8s.io, application/json").form is Form.WHOLE
    assert (
        wanted("application/vnd.kubernetes.protobuf;as=Table;v=v1, application/json;as=Table;v=v1").form is Form.TABLE
    )
    assert wanted("").form is Form.WHOLE


def test_a_kubeconfig_is_json_with_one_context() -> None:
    made = kubeconfig("https://127.0.0.1:1", "secret", b"pem")
    assert json.loads(json.dumps(made)) == made
    assert made["current-context"] == made["contexts"][0]["name"] == made["clusters"][0]["name"]
    assert made["users"][0]["user"] == {"token": "secret"}


def test_every_field_of_the_mesh_has_a_text() -> None:
    catalogue = standard_catalogue()
    definitions = load(catalogue.rows).definitions
    silent = [
        place
        for row in catalogue.rows
        if row.shape is not None
        for place in _silent(definitions[row.definition(row.storage)], row.kind)
    ]
    assert silent == []


def _silent(node: Any, place: str) -> Iterator[str]:
    for name, inner in node.get("properties", {}).items():
        if not inner.get("description"):
            yield f"{place}.{name}"
        for part in (inner, inner.get("items"), inner.get("additionalProperties")):
            if isinstance(part, dict):
                yield from _silent(part, f"{place}.{name}")


def test_no_text_is_for_a_field_that_is_not_there() -> None:
    catalogue = standard_catalogue()
    definitions = load(catalogue.rows).definitions
    names = set[str]()
    for row in catalogue.rows:
        if row.shape is not None:
            _collect(definitions[row.definition(row.storage)], names)
    assert {key.rpartition(".")[2] for key in TEXTS} <= names


def _collect(node: Any, names: set[str]) -> None:
    for name, inner in node.get("properties", {}).items():
        names.add(name)
        for part in (inner, inner.get("items"), inner.get("additionalProperties")):
            if isinstance(part, dict):
                _collect(part, names)


RUNS: dict[str, Any] = {"running": {}}


def waits(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}


@pytest.mark.parametrize(
    ("first", "beside", "ready", "status"),
    [
        (RUNS, waits("PodInitializing"), "1/3", "Init:0/2"),
        (ended(3), waits("PodInitializing"), "1/3", "Init:Error"),
        (waits("CrashLoopBackOff"), waits("PodInitializing"), "1/3", "Init:CrashLoopBackOff"),
        (ended(0), waits("PodInitializing"), "1/3", "Init:1/2"),
        (ended(0), RUNS, "2/3", "PodInitializing"),
    ],
)
def test_pods_that_initialize(first: dict[str, Any], beside: dict[str, Any], ready: str, status: str) -> None:
    """The proxy is no container that somebody wrote: it counts among those that run, not among the steps."""
    runs = {"restartPolicy": "Always"}
    told = [
        {"name": "istio-proxy", "state": RUNS, "ready": True, "started": True},
        {"name": "first", "state": first, "restartCount": 2},
        {"name": "beside", "state": beside, "ready": beside is RUNS, "started": beside is RUNS},
    ]
    pod: dict[str, Any] = {
        "metadata": {"name": "a"},
        "spec": {
            "containers": [{"name": "app"}],
            "initContainers": [{"name": "istio-proxy", **runs}, {"name": "first"}, {"name": "beside", **runs}],
        },
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "app", "state": waits("PodInitializing"), "ready": False}],
            "initContainerStatuses": told,
        },
    }
    cells = {each.name: each.cell(pod, datetime.now(UTC)) for each in columns_of("Pod")}
    assert (cells["Ready"], cells["Status"]) == (ready, status)
    assert cells["Restarts"] == ("0" if status == "PodInitializing" else "2")


def test_restarts_say_when_the_last_one_was() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    statuses = [
        {"name": "a", "restartCount": 2, "lastState": {"terminated": {"finishedAt": "2026-01-01T11:54:30Z"}}},
        {"name": "b", "restartCount": 1, "lastState": {"terminated": {"finishedAt": "2026-01-01T10:00:00Z"}}},
    ]
    [restarts] = [each.cell for each in columns_of("Pod") if each.name == "Restarts"]
    assert restarts({"status": {"containerStatuses": statuses}}, now) == "3 (5m30s ago)"
    assert restarts({"status": {"containerStatuses": [{"name": "a", "restartCount": 0}]}}, now) == "0"
