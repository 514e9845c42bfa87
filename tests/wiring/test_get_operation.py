"""`get` of the command line: which objects its words mean."""

import asyncio
from typing import Any

import pytest

from meshwright.processes.messages import BadRequest, Fields
from meshwright.store.errors import NotFoundError
from meshwright.store.limits import Limits
from meshwright.store.names import Author
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.wiring.applying import apply
from meshwright.wiring.get_operation import get_operation
from tests.store.memory import MemoryEngine

OBJECTS = """
{apiVersion: v1, kind: Service, metadata: {name: web, labels: {app: web}}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: data}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {a: very-secret}}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web},
 spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}}
"""


def asked(**fields: Any) -> list[str]:
    """kind/name of the answer."""
    return [f"{each['kind']}/{each['metadata']['name']}" for each in whole(**fields)]


def whole(**fields: Any) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        try:
            await apply(store, [("x", OBJECTS)], Author("test"), dry_run=False)
            return (await get_operation(store)(Fields({"names": [], **fields})))["items"]
        finally:
            await store.close()

    return asyncio.run(main())


def test_several_kinds_and_a_category() -> None:
    assert asked(kind="vs,cm,vs") == ["VirtualService/web", "ConfigMap/web"]
    assert asked(kind="VirtualServices.networking.istio.io") == ["VirtualService/web"]
    assert asked(kind="istio-io") == ["VirtualService/web"]
    assert asked(kind="all") == ["Service/web"]
    assert asked(kind="replicasets") == []


def test_places_names_and_labels() -> None:
    assert asked(kind="svc", namespace="data") == ["Service/db"]
    assert sorted(asked(kind="svc", all_namespaces=True)) == ["Service/db", "Service/web"]
    assert asked(kind="namespaces", namespace="data") == ["Namespace/data", "Namespace/default"]
    assert asked(kind="svc", labels="app in (web, other)") == ["Service/web"]
    assert asked(kind="svc", labels="app!=web") == []
    assert asked(kind="svc,cm", names=["web"]) == ["Service/web", "ConfigMap/web"]
    with pytest.raises(NotFoundError, match="services/default/db is not there"):
        asked(kind="svc", names=["web", "db"])


def test_what_a_secret_holds_is_not_shown() -> None:
    assert "very" not in str(whole(kind="secret")), "neither plain"
    assert "dmVye" not in str(whole(kind="secret")), "nor encoded"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "virtualservce"}, "there is no kind virtualservce: did you mean virtualservice?"),
        ({"kind": "svc,zzz"}, "there is no kind zzz; there are configmaps, "),
        ({"kind": "svc", "labels": "a in"}, "a in"),
    ],
)
def test_words_that_mean_nothing(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(**fields)
    assert told in str(refused.value)
    assert refused.value.code == "usage"
