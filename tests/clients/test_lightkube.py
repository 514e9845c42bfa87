"""A Python client library of others: it lists, watches and applies."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from lightkube import generic_resource
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.async_client import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import CascadeType, PatchType

from meshwright.store.limits import Limits
from tests.apiserver.server import Running, running
from tests.clients.conftest import Kubectl

_library: Any = generic_resource
VirtualService: Any = _library.create_namespaced_resource(
    group="networking.istio.io", version="v1", kind="VirtualService", plural="virtualservices"
)


def run(server: Running, kubectl: Kubectl, work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Runs `work` with a client that knows the server from its kubeconfig."""
    config = KubeConfig.from_file(str(server.kubeconfig))

    async def main() -> None:
        client: Any = AsyncClient(config=config, namespace=kubectl.namespace, field_manager="lightkube")
        try:
            async with asyncio.timeout(30):
                await work(client)
        finally:
            await client.close()

    uvloop.run(main())


def test_create_list_patch_delete(server: Running, kubectl: Kubectl) -> None:
    async def work(client: Any) -> None:
        for name in ("a", "b", "c"):
            made = await client.create(
                ConfigMap(metadata=ObjectMeta(name=name, labels={"n": name}), data={"k": name})
            )
            assert made.metadata.uid
        listed = client.list(ConfigMap, chunk_size=2)
        assert [item.metadata.name async for item in listed] == ["a", "b", "c"]
        chosen = client.list(ConfigMap, labels={"n": ["a", "c"]})
        assert [item.metadata.name async for item in chosen] == ["a", "c"]
        patched = await client.patch(ConfigMap, "a", {"data": {"x": "y"}}, patch_type=PatchType.MERGE)
        assert patched.data == {"k": "a", "x": "y"}
        await client.delete(ConfigMap, "b", cascade=CascadeType.BACKGROUND)
        with pytest.raises(ApiError) as missing:
            await client.get(ConfigMap, "b")
        assert missing.value.status.code == 404

    run(server, kubectl, work)


def test_apply_and_its_conflict(server: Running, kubectl: Kubectl) -> None:
    def wanted(subset: str) -> Any:
        route = {"destination": {"host": "reviews", "subset": subset}}
        return VirtualService(metadata=ObjectMeta(name="r"), spec={"hosts": ["r"], "http": [{"route": [route]}]})

    async def work(client: Any) -> None:
        made = await client.apply(wanted("v1"))
        assert made.metadata.generation == 1
        with pytest.raises(ApiError) as conflict:
            await client.apply(wanted("v2"), field_manager="other")
        assert conflict.value.status.code == 409
        details: Any = conflict.value.status.details
        assert details.causes[0].field == ".spec.http"
        taken = await client.apply(wanted("v2"), field_manager="other", force=True)
        assert taken.spec["http"][0]["route"][0]["destination"]["subset"] == "v2"

    run(server, kubectl, work)


def test_watch(server: Running, kubectl: Kubectl) -> None:
    async def work(client: Any) -> None:
        await client.create(ConfigMap(metadata=ObjectMeta(name="one"), data={}))
        listed = client.list(ConfigMap)
        assert [item.metadata.name async for item in listed] == ["one"]
        seen: list[tuple[str, str]] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(client))
            async for event, item in client.watch(ConfigMap, resource_version=listed.resourceVersion):
                seen.append((event, item.metadata.name))
                if event == "DELETED":
                    break
        assert seen == [("ADDED", "two"), ("MODIFIED", "two"), ("DELETED", "two")]

    run(server, kubectl, work)


async def _write(client: Any) -> None:
    await client.create(ConfigMap(metadata=ObjectMeta(name="two"), data={}))
    await client.patch(ConfigMap, "two", {"data": {"a": "b"}}, patch_type=PatchType.MERGE)
    await client.delete(ConfigMap, "two")


def test_a_watcher_that_was_away_too_long_lists_again(tmp_path: Path, kubectl: Kubectl) -> None:
    """What a version that is forgotten looks like to a library: 410, and a list is where to go on from."""

    async def work(client: Any) -> None:
        old = client.list(ConfigMap)
        assert [item.metadata.name async for item in old] == []
        for number in range(60):
            await client.apply(ConfigMap(metadata=ObjectMeta(name="one"), data={"n": str(number)}))
        with pytest.raises(ApiError) as gone:
            await _until_deleted(client, old.resourceVersion)
        assert gone.value.status.code == 410
        again = client.list(ConfigMap)
        assert [item.data["n"] async for item in again] == ["59"]
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(client))
            seen = await _until_deleted(client, again.resourceVersion)
        assert seen == [("ADDED", "two"), ("MODIFIED", "two"), ("DELETED", "two")]

    limits = Limits(events=16, window_events=4, window_bytes=4_000, pause_seconds=0)
    with running(tmp_path, limits) as forgetful:
        place = Kubectl(kubectl.binary, forgetful.kubeconfig, kubectl.home, "default")
        run(forgetful, place, work)


async def _until_deleted(client: Any, version: str) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    async for event, item in client.watch(ConfigMap, resource_version=version):
        seen.append((event, item.metadata.name))
        if event == "DELETED":
            break
    return seen


def test_a_watch_that_the_server_ends_is_taken_up_again(server: Running, kubectl: Kubectl) -> None:
    async def work(client: Any) -> None:
        listed = client.list(ConfigMap)
        assert [item.metadata.name async for item in listed] == []
        seen: list[str] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(_write_slowly(client))
            watched = client.watch(ConfigMap, resource_version=listed.resourceVersion, server_timeout=1)
            async for event, item in watched:
                seen.append(f"{event} {item.metadata.name}")
                if item.metadata.name == "c":
                    break
        assert seen == ["ADDED a", "ADDED b", "ADDED c"]

    run(server, kubectl, work)


async def _write_slowly(client: Any) -> None:
    for name in ("a", "b", "c"):
        await client.create(ConfigMap(metadata=ObjectMeta(name=name), data={}))
        await asyncio.sleep(0.8)  # longer in all than the server lets a watch live
