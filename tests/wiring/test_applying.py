"""`apply` and `delete`: while statuses move under them, what stays as others set it, and what is refused."""

import asyncio
import json

import pytest

from meshwright.store.errors import ConflictError, InvalidError
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key, Owner, Resource
from meshwright.store.sources import system_sources
from meshwright.store.store import Store
from meshwright.store.version import Version
from meshwright.store.writes import Delete, UpdateStatus
from meshwright.wiring.applying import LAST_APPLIED, Outcome, apply, delete, take_back, until_alone
from tests.store.memory import MemoryEngine
from tests.wiring.stores import in_store

ME = Author("test")
KEY = Key(Resource("networking.istio.io", "virtualservices"), "default", "reviews")
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{timeout: %ds, route: [{destination: {host: reviews}}]}]}
"""


class Restless(Store):
    """A store in which a status is written after each of the first reads of an object."""

    moves = 3

    async def find(self, key: Key) -> Version | None:
        found = await super().find(key)
        if self.moves and found is not None:
            self.moves -= 1
            condition = {"type": "Live", "status": "True", "message": str(self.moves)}
            await self.set_condition(key, Owner("other"), condition)
        return found


def test_apply_is_not_stopped_by_a_status_that_moves() -> None:
    async def main() -> None:
        store = await Restless.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)
        done = await apply(store, [("x", RULE % 2)], ME, dry_run=False)
        assert [action for _, action in done.actions] == ["configured"]
        assert (await store.get(KEY)).value()["spec"]["http"][0]["timeout"] == "2s"
        await store.close()

    asyncio.run(main())


def test_undo_is_not_stopped_by_a_status_that_moves() -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)
        done = await apply(store, [("x", RULE % 2)], ME, dry_run=False)
        assert done.change is not None
        attempts: list[int] = []

        async def attempt() -> Outcome:
            assert done.change is not None
            back = await store.revert([done.change])
            attempts.append(1)
            if len(attempts) < 3:
                condition = {"type": "Live", "status": "True", "message": str(len(attempts))}
                await store.set_condition(KEY, Owner("other"), condition)
            return await take_back(store, back.writes, ME, "undo", dry_run=False)

        await until_alone(attempt)
        assert len(attempts) == 3
        assert (await store.get(KEY)).value()["spec"]["http"][0]["timeout"] == "1s"
        await store.close()

    asyncio.run(main())


def test_somebody_who_never_stops_is_told_in_the_end() -> None:
    async def main() -> None:
        store = await Store.open(MemoryEngine(), system_sources(), Limits())
        await apply(store, [("x", RULE % 1)], ME, dry_run=False)

        async def attempt() -> Outcome:
            raise ConflictError(KEY, await store.get(KEY), "it was changed since")

        with pytest.raises(ConflictError):
            await until_alone(attempt)
        await store.close()

    asyncio.run(main())


WEB = Key(Resource("apps", "deployments"), "default", "web")
POD = Key(Resource("", "pods"), "default", "alone")
NAMESPACES = Resource("", "namespaces")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: %s}}
  template: {metadata: {labels: {app: %s}}, spec: {containers: [{name: web, image: web:1}]}}
"""
ALONE = """
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {containers: [{name: web, image: web:1, command: [%s]}]}
"""
CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: %s}}"


def test_how_many_there_are_stays_where_nobody_declares_it() -> None:
    async def scene(store: Store) -> None:
        texts = [("x", DEPLOYMENT % ("web", "web"))]
        await apply(store, texts, ME, dry_run=False)
        value = (await store.get(WEB)).value()
        assert value["spec"]["replicas"] == 1
        declared = json.loads(value["metadata"]["annotations"][LAST_APPLIED])
        assert set(declared["spec"]) == {"selector", "template"}, "as typed: kubectl takes it for its own"
        await store.update(WEB, {**value, "spec": {**value["spec"], "replicas": 5}}, Author("kubectl scale"))
        done = await apply(store, texts, ME, dry_run=False)
        assert [action for _, action in done.actions] == ["unchanged"]
        assert (await store.get(WEB)).value()["spec"]["replicas"] == 5

    in_store(scene)


def test_what_may_not_change_does_not() -> None:
    async def scene(store: Store) -> None:
        await apply(store, [("x", DEPLOYMENT % ("web", "web")), ("y", ALONE % "a")], ME, dry_run=False)
        with pytest.raises(InvalidError, match=r"default/web: spec.selector: .*immutable.*Delete the object first"):
            await apply(store, [("x", DEPLOYMENT % ("shop", "shop"))], ME, dry_run=False)
        with pytest.raises(InvalidError, match="default/alone: spec: Forbidden: pod updates may not change"):
            await apply(store, [("y", ALONE % "b")], ME, dry_run=True)
        done = await apply(store, [("y", ALONE % "a")], ME, dry_run=False)
        assert [action for _, action in done.actions] == ["unchanged"]

    in_store(scene)


def test_a_namespace_that_is_missing_is_made_and_told() -> None:
    async def scene(store: Store) -> None:
        done = await apply(store, [("x", CONFIG % "shop")], ME, dry_run=False)
        assert [(str(key), action) for key, action in done.actions] == [
            ("namespaces/shop", "created"),
            ("configmaps/shop/one", "created"),
        ]
        labels = (await store.get(Key(NAMESPACES, "", "shop"))).value()["metadata"]["labels"]
        assert labels == {"kubernetes.io/metadata.name": "shop"}
        again = await apply(store, [("x", CONFIG % "shop")], ME, dry_run=False)
        assert [str(key) for key, _ in again.actions] == ["configmaps/shop/one"]

    in_store(scene)


def test_a_namespace_on_its_way_out_takes_nothing() -> None:
    async def scene(store: Store) -> None:
        await apply(store, [("x", CONFIG % "shop")], ME, dry_run=False)
        await store.transact([Delete(Key(NAMESPACES, "", "shop"), finalizers=("kubernetes",))], ME)
        other = "{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: shop}}"
        with pytest.raises(InvalidError, match="namespace shop is being deleted"):
            await apply(store, [("x", other)], ME, dry_run=False)

    in_store(scene)


def test_namespaces_that_every_mesh_has_stay() -> None:
    async def scene(store: Store) -> None:
        done = await apply(store, [("x", CONFIG % "default")], ME, dry_run=False)
        assert done.change is not None
        key = Key(NAMESPACES, "", "default")
        with pytest.raises(InvalidError, match="namespace default cannot be deleted"):
            await delete(store, [key], ME, dry_run=False)
        back = await store.revert([done.change])
        undone = await take_back(store, back.writes, ME, "undo", dry_run=False)
        assert [str(each) for each, _ in undone.actions] == ["configmaps/default/one"]
        assert await store.find(key) is not None

    in_store(scene)


def test_a_pod_that_runs_has_its_time_to_end() -> None:
    async def scene(store: Store) -> None:
        await apply(store, [("y", ALONE % "a")], ME, dry_run=False)
        value = (await store.get(POD)).value()
        assert value["spec"]["serviceAccountName"] == "default"
        await store.update(POD, {**value, "spec": {**value["spec"], "nodeName": "here"}}, ME)
        await store.transact([UpdateStatus(POD, {"phase": "Running"}, Owner("kubelet"))], ME)
        await delete(store, [POD], ME, dry_run=False)
        assert (await store.get(POD)).value()["metadata"]["deletionGracePeriodSeconds"] == 30

    in_store(scene)
