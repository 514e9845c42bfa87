"""Cluster IPs are given inside of the write: once, to one Service only, and for good."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from meshwright.store.errors import FieldRefusedError
from meshwright.store.history import whole_meaning
from meshwright.store.names import Author, Key
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.store.writes import Create, Delete, Update
from meshwright.wiring.addresses import Network
from meshwright.wiring.cluster_addresses import SERVICES, cluster_addresses
from meshwright.wiring.seeding import seed
from tests.store.memory import MemoryEngine

ME = Author("test")
SMALL = Network("240.240.0.0/16", 16, 19)  # four addresses


def key(name: str = "web", namespace: str = "default") -> Key:
    return Key(SERVICES, namespace, name)


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": [{"port": 80}], **spec}}


def spec_of(version: Any) -> dict[str, Any]:
    return version.value()["spec"]


def run(work: Callable[[Store], Awaitable[None]], network: Network = SMALL, *reserved: str) -> None:
    async def main() -> None:
        fill = cluster_addresses(lambda: reserved, network)
        store = await Store.open(MemoryEngine(), system_sources(), None, whole_meaning, fill)
        await work(store)
        await store.close()

    asyncio.run(main())


def test_a_new_service_has_an_address_and_keeps_it() -> None:
    async def work(store: Store) -> None:
        made = spec_of(await store.create(key(), service(), ME))
        assert made["clusterIP"].startswith("240.240.")
        assert made["clusterIPs"] == [made["clusterIP"]]
        assert (made["ipFamilies"], made["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
        changed = spec_of(await store.update(key(), service(selector={"app": "web"}), ME))
        assert changed["clusterIP"] == made["clusterIP"]
        with pytest.raises(FieldRefusedError, match="immutable"):
            await store.update(key(), service(clusterIP="10.0.0.9"), ME)

    run(work)


def test_the_address_follows_from_the_name() -> None:
    seen: list[str] = []

    async def work(store: Store) -> None:
        seen.append(spec_of(await store.create(key(), service(), ME))["clusterIP"])

    run(work)
    run(work)
    assert len(set(seen)) == 1


def test_all_addresses_of_one_transaction_are_different_until_none_is_left() -> None:
    async def work(store: Store) -> None:
        done = await store.transact([Create(key(name), service()) for name in "abcd"], ME)
        assert len({spec_of(item.version)["clusterIP"] for item in done.written}) == 4
        with pytest.raises(FieldRefusedError, match="failed to allocate"):
            await store.create(key("e"), service(), ME)
        done = await store.transact([Delete(key("a")), Create(key("e"), service())], ME)
        assert done.written[1].version is not None

    run(work)


def test_addresses_of_others_are_left_alone() -> None:
    async def work(store: Store) -> None:
        taken = spec_of(await store.create(key(), service(clusterIP="240.240.0.16"), ME))
        given = spec_of(await store.create(key("b"), service(), ME))
        assert (taken["clusterIP"], given["clusterIP"]) == ("240.240.0.16", "240.240.0.19")
        with pytest.raises(FieldRefusedError, match="already allocated"):
            await store.create(key("c"), service(clusterIP="240.240.0.16"), ME)

    run(work, SMALL, "240.240.0.17", "240.240.0.18")


def test_headless_and_external_services_have_none() -> None:
    async def work(store: Store) -> None:
        headless = spec_of(await store.create(key("a"), service(clusterIP="None"), ME))
        assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
        external = service(type="ExternalName", externalName="example.com")
        assert "clusterIP" not in spec_of(await store.create(key("b"), external, ME))
        became = spec_of(await store.update(key("b"), service(), ME))
        assert became["clusterIP"].startswith("240.240.")
        assert "clusterIP" not in spec_of(await store.update(key("b"), external, ME))

    run(work)


def test_a_rehearsal_keeps_nothing() -> None:
    async def work(store: Store) -> None:
        first = await store.rehearse([Create(key("a"), service())], ME)
        again = await store.rehearse([Create(key("a"), service())], ME)
        addresses = [spec_of(done.written[0].version)["clusterIP"] for done in (first, again)]
        assert addresses[0] == addresses[1]
        assert await store.find(key("a")) is None

    run(work)


def test_up_starts_with_what_can_be_used() -> None:
    """Two Services with one address in the files, and later one that asks for another than it has."""

    async def work(store: Store) -> None:
        asked = {name: service(clusterIP="10.9.9.9") for name in "ab"}
        await seed(store, [(name, json.dumps(named(value, name))) for name, value in asked.items()], "up")
        first, second = [spec_of(await store.get(key(name)))["clusterIP"] for name in "ab"]
        assert first == "10.9.9.9"
        assert second.startswith("240.240.")
        await seed(store, [("b", json.dumps(named(service(clusterIP="10.7.7.7"), "b")))], "up")
        assert spec_of(await store.get(key("b")))["clusterIP"] == second
        await seed(store, [("c", json.dumps(named(service(clusterIP="here"), "c")))], "up")
        assert spec_of(await store.get(key("c")))["clusterIP"] == "here", "told by the readers"

    run(work)


def named(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {**value, "metadata": {"name": name}}


def test_other_kinds_and_broken_services_pass() -> None:
    async def work(store: Store) -> None:
        broken: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": "x"}
        version = await store.create(key(), broken, ME)
        assert version.value()["spec"] == "x"
        done = await store.transact([Update(key(), service())], ME)
        assert done.written[0].version is not None

    run(work)
