"""A change that comes while an object that Envoy refused is tried again: who is caught up in that is not refused."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from meshwright.model.names import ROUTES
from meshwright.model.published import EncodedResource
from meshwright.model.workload import Identity
from meshwright.node.server import NodeServer
from meshwright.processes.client import Client
from meshwright.processes.state import DataDirectory
from meshwright.store.names import Json
from meshwright.wiring.mesh_control import SOCKET, MeshControl
from tests.status.world import World, rule, run

FIRST_RETRY = 31.0  # seconds of the scene's clock, after which who was refused is tried again


def refuses_poison(resource: EncodedResource) -> str:
    """Envoy does not take a route configuration in which the poison is, whatever else is in it."""
    return "Envoy does not like x-poison" if resource.type_url == ROUTES and b"x-poison" in resource.value else ""


def unsigned(identity: Identity, request: bytes) -> bytes:
    """No machine asks for a certificate here."""
    raise ValueError(identity, request)


@asynccontextmanager
async def commands(world: World, folder: Path) -> AsyncGenerator[Client]:
    """What the command line talks to, over its socket."""
    data = DataDirectory(folder)
    data.run.mkdir(parents=True)
    nodes = NodeServer(world.mesh.published, unsigned, lambda _: asyncio.sleep(0))
    control = MeshControl(data, world.store, world.mesh, world.receipts, nodes, world.status)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(control.serve())
        while not (data.run / SOCKET).exists():
            await asyncio.sleep(0)
        client = Client.open(data.run / SOCKET)
        try:
            yield client
        finally:
            client.close()
            serving.cancel()


def play(scene: Callable[[World, Client], Coroutine[Any, Any, None]]) -> None:
    with tempfile.TemporaryDirectory(prefix="mwb") as folder:

        async def scenario(world: World) -> None:
            async with asyncio.timeout(50), commands(world, Path(folder)) as client:
                await scene(world, client)

        run(Path(folder), scenario)


async def refused_once(world: World) -> None:
    """s0 is refused and held back, and it is time to try it again; s1 is fine. Nobody has looked yet."""
    await world.write(rule("s1", "fine"))
    await world.settle()
    world.proxies.refuses = refuses_poison
    await world.write(rule("s0", "x-poison"))
    await world.settle()
    assert (await world.condition("s0"))["reason"] == "Refused"
    world.clock[0] += FIRST_RETRY
    await world.status.look()


async def published_anew(world: World, before: int) -> None:
    while world.mesh.published.value.change == before:
        await asyncio.sleep(0)


async def asked(world: World, client: Client, operation: str, **fields: Any) -> dict[str, Any]:
    """Change something while the proxies still have to say what they think of the new trial, then let them."""
    before = world.mesh.published.value.change
    async with asyncio.TaskGroup() as tasks:
        told = tasks.create_task(client.call(operation, {"author": "test", **fields}))
        await published_anew(world, before)
        while not told.done():
            await world.settle(1)
    answer, _ = told.result()
    return dict(answer.values)


def texts(*values: Json) -> list[dict[str, str]]:
    return [{"file": "x", "text": yaml.safe_dump_all(values)}]


async def last_receipt(client: Client) -> dict[str, Any]:
    """What history says of the newest change."""
    history, _ = await client.call("changes")
    return history.values["changes"][0]["receipt"]


def served(world: World) -> bytes:
    """What the mesh asks of proxies now."""
    routes = world.mesh.published.value.resources_of(next(iter(world.proxies.taken)))
    assert routes is not None
    return b"".join(each.value for each in routes[ROUTES].values())


def test_a_change_that_is_caught_up_in_a_new_trial_is_live_and_its_receipt_says_so() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        assert b"x-poison" in served(world)  # it is being tried
        told = await asked(world, client, "apply", texts=texts(rule("s1", "fine-and-newer")))
        assert (told["receipt"]["refused"], told["receipt"]["live"], told["notes"]) == ([], True, [])
        assert b"fine-and-newer" in served(world)
        assert b"x-poison" not in served(world)
        assert (await world.condition("s0"))["reason"] == "Refused"
        assert await last_receipt(client) == told["receipt"]

    play(scene)


def test_so_is_a_deletion() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        named = {"kind": "VirtualService", "name": "s1"}
        told = await asked(world, client, "delete", objects=[named], namespace="default")
        assert (told["receipt"]["refused"], told["receipt"]["live"]) == ([], True)
        assert b"fine" not in served(world)

    play(scene)


def test_so_is_what_was_changed_by_other_means() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        await world.write(rule("s1", "fine-and-newer"))
        await world.settle()
        told = await last_receipt(client)
        assert (told["refused"], told["live"]) == ([], True)

    play(scene)


def test_a_change_between_a_refusal_and_a_look_at_it_proves_nothing() -> None:
    """What proxies refused of the trial is not the newest any more when the mesh looks: the culprit is one still."""

    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        world.proxies.step()
        before = world.mesh.published.value.change
        await world.write(rule("s1", "fine-and-newer"))
        await published_anew(world, before)
        await world.status.look()
        await world.settle()
        assert (await world.condition("s0"))["reason"] == "Refused"
        assert (await world.condition("s1"))["status"] == "True"
        assert (await last_receipt(client))["live"]
        assert b"x-poison" not in served(world)

    play(scene)


def test_a_culprit_that_proxies_meet_together_with_the_next_change_is_not_live() -> None:
    async def scene(world: World, client: Client) -> None:
        world.proxies.refuses = refuses_poison
        await world.settle()
        for value in (rule("s0", "x-poison"), rule("s1", "fine")):
            before = world.mesh.published.value.change
            await world.write(value)
            await published_anew(world, before)
        await world.settle()
        history, _ = await client.call("changes")
        assert [each["receipt"]["live"] for each in history.values["changes"][:2]] == [True, False]

    play(scene)


def test_who_is_refused_stays_so_until_it_is_taken_and_no_longer() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        await world.settle()
        assert (await last_receipt(client))["refused"] == ["p0.default", "p1.default"]
        world.clock[0] += 2 * FIRST_RETRY
        world.proxies.refuses = lambda _: ""
        await world.settle()
        assert (await world.condition("s0"))["status"] == "True"
        told = await last_receipt(client)
        assert (told["refused"], told["live"]) == ([], True)

    play(scene)


def test_what_was_refused_and_cured_by_another_change_was_refused() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        await world.settle()
        await world.write(rule("s0", "cured"))
        await world.settle()
        history, _ = await client.call("changes")
        assert [each["receipt"]["live"] for each in history.values["changes"][:2]] == [True, False]

    play(scene)


def test_one_of_two_is_enough_to_refuse_a_change() -> None:
    async def scene(world: World, client: Client) -> None:
        await refused_once(world)
        told = await asked(world, client, "apply", texts=texts(rule("s1", "newer"), rule("s2", "x-poison-too")))
        assert (told["receipt"]["refused"], told["receipt"]["live"]) == (["p0.default", "p1.default"], False)
        [note] = told["notes"]
        assert note.startswith("x:24: VirtualService default/s2 spec.http[0].directResponse: Envoy refuses")

    play(scene)
