"""What `undo` means without a number, and Services whose pods are on their way."""

from pathlib import Path

import pytest
import yaml

from meshwright.model.names import ROUTES
from meshwright.processes.messages import BadRequest
from meshwright.store.names import Author, Key, Resource
from meshwright.store.store import Store
from meshwright.wiring.applying import apply, take_back
from meshwright.wiring.loading import load
from meshwright.wiring.mesh_control import awaiting_pods
from meshwright.wiring.seeding import seed
from meshwright.wiring.undoing import last_of_a_person, newest_of_people
from tests.status.world import World, rule, run
from tests.wiring.stores import in_store

ANNA, NAMESPACE_CONTROLLER = Author("anna"), Author("controller/namespace")
NAMESPACES = Resource("", "namespaces")


def config(name: str, namespace: str = "default") -> list[tuple[str, str]]:
    return [("x", f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: {namespace}}}}}")]


def test_it_is_the_last_change_of_a_person() -> None:
    async def scene(store: Store) -> None:
        await seed(store, config("a"), "up")
        with pytest.raises(BadRequest, match="nobody has changed anything"):
            await last_of_a_person(store)
        await apply(store, config("b"), ANNA, dry_run=False)
        await apply(store, config("c"), Author("controller/other"), dry_run=False)
        assert await last_of_a_person(store) == 2
        assert [each.number for each in await newest_of_people(store, 5)] == [2, 1]

    in_store(scene)


def test_what_the_mesh_says_of_a_refused_object_is_no_change_of_a_person(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.proxies.refuses = lambda resource: "no" if resource.type_url == ROUTES else ""
        made = await apply(world.store, [("x", yaml.safe_dump(rule("s0", "x")))], ANNA, dry_run=False)
        await world.settle()
        assert [each["reason"] for each in await world.events()] == ["Refused"]
        assert await last_of_a_person(world.store) == made.change

    run(tmp_path, scene)


def test_it_does_not_step_over_a_namespace_that_was_deleted() -> None:
    async def scene(store: Store) -> None:
        await apply(store, config("a", "shop"), ANNA, dry_run=False)
        await apply(store, config("b"), ANNA, dry_run=False)
        await store.delete(Key(NAMESPACES, "", "shop"), NAMESPACE_CONTROLLER)
        with pytest.raises(BadRequest, match=r"since change 2 .* deleted the namespace shop.*rollback 2"):
            await last_of_a_person(store)
        await apply(store, config("a", "shop"), Author("controller/other"), dry_run=False)
        assert await last_of_a_person(store) == 2, "it is there again"

    in_store(scene)


def test_a_namespace_that_went_with_what_was_undone_is_no_obstacle() -> None:
    async def scene(store: Store) -> None:
        made = await apply(store, config("a", "shop"), ANNA, dry_run=False)
        assert made.change is not None
        place = Key(NAMESPACES, "", "shop")
        value = (await store.get(place)).value()
        held = {**value, "metadata": {**value["metadata"], "finalizers": ["kubernetes"]}}
        await store.update(place, held, NAMESPACE_CONTROLLER)
        back = await store.revert([made.change])
        await take_back(store, back.writes, ANNA, "undo 1", dry_run=False)
        marked = (await store.get(place)).value()
        await store.update(
            place, {**marked, "metadata": {**marked["metadata"], "finalizers": []}}, NAMESPACE_CONTROLLER
        )
        assert await store.find(place) is None
        number = await last_of_a_person(store)
        again = await store.revert([number])
        done = await take_back(store, again.writes, ANNA, "undo 2", dry_run=False)
        assert [str(key) for key, _ in done.actions] == ["namespaces/shop", "configmaps/shop/a"]

    in_store(scene)


def test_services_whose_pods_are_on_their_way() -> None:
    def workload(replicas: int) -> str:
        return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template: {{metadata: {{labels: {{app: web, version: v1}}}}, spec: {{containers: [{{name: a, image: busybox}}]}}}}
---
"""

    services = "\n---\n".join(
        f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, "
        f"spec: {{selector: {{{selector}}}, ports: [{{port: 80}}]}}}}"
        for name, namespace, selector in (
            ("web", "default", "app: web"),
            ("other", "default", "app: other"),
            ("far", "far", "app: web"),
            ("bare", "default", ""),
        )
    )
    there = load([("x", workload(1) + services)]).objects
    assert [ref.name for ref in awaiting_pods(there)] == ["web"]
    assert not awaiting_pods(load([("x", workload(0) + services)]).objects)
