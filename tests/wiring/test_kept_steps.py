"""A control plane takes over in the middle of a change of TLS modes: it goes on where the one before was."""

import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshwright.node.progress import NO_PROGRESS, ProxyProgress
from meshwright.wiring.kept_steps import FILE, KeptSteps
from meshwright.wiring.seeding import seed
from meshwright.wiring.store_follower import RULES
from meshwright.wiring.tls_steps import Stage, TlsSteps
from tests.wiring.test_tls_steps import BOUND, STUCK, A, B, World, play, policy, routing, rule

Scenario = Callable[[World], Awaitable[None]]
FAR = 10**9  # a change that no store here reaches


def with_state(text: str, **other: Any) -> str:
    written = json.loads(text)
    return json.dumps({**written, "state": {**written["state"], **other}})


SPOILS: dict[str, Callable[[str], str]] = {
    "half": lambda text: text[:-20],
    "empty": lambda _: "",
    "of another program": lambda text: text.replace('"format":1', '"format":2'),
    "no mode": lambda text: text.replace('"mode":"DISABLE"', '"mode":"NONE"'),
    "of another store": lambda text: with_state(text, settled=FAR),
    "contradicts itself": lambda text: with_state(text, also=None),
}


async def stored(world: World, *texts: str) -> int:
    """Written by somebody while nobody follows the store; the number of the change."""
    await seed(world.store, [(str(number), text) for number, text in enumerate(texts)], "a change")
    return (await world.store.head()).change


async def taken_over(before: World, folder: Path, scenario: Scenario) -> None:
    """The control plane ends here; another finds the store, and what was kept. Of proxies it knows nothing yet."""
    newest = (await before.store.head()).change
    after = World(before.store, folder, TlsSteps(KeptSteps(folder / FILE).read(newest)))
    await after.load()
    after.known = dict.fromkeys(after.mesh.published.value.proxies, NO_PROGRESS)
    async with after.running():
        await scenario(after)


def takes_over(folder: Path, until: Callable[[World], Awaitable[Any]], after: Scenario, *texts: str) -> None:
    """`until` in one control plane, `after` in the next."""

    async def scenario(world: World) -> None:
        await until(world)
        await taken_over(world, folder, after)

    play(folder, scenario, *texts)


def test_servers_that_take_both_go_on_with_it_until_all_have_acknowledged(tmp_path: Path) -> None:
    async def until(world: World) -> None:
        world.holding.add(A)
        await world.write(policy("one", "STRICT"))

    async def after(world: World) -> None:
        assert (world.serves(A), world.encrypts(A), world.stage) == ("PERMISSIVE", False, Stage.OPENING)
        await world.look()
        assert world.stage is Stage.OPENING, "nobody is connected, which does not mean that nobody sends"
        world.holding.add(STUCK)
        await world.acknowledged()
        assert world.stage is Stage.OPENING, "who was opened before is not known"
        world.holding.clear()
        await world.acknowledged(1)
        assert (world.serves(A), world.encrypts(A), world.stage) == ("PERMISSIVE", True, Stage.MOVING)
        await world.acknowledged()
        assert (world.serves(A), world.encrypts(A), world.stage) == ("STRICT", True, None)

    takes_over(tmp_path, until, after, policy("one", "DISABLE"))


def test_clients_that_follow_go_on_following(tmp_path: Path) -> None:
    async def until(world: World) -> None:
        world.holding.add(B)
        await world.write(policy("one", "DISABLE"))
        await world.acknowledged()

    async def after(world: World) -> None:
        assert (world.serves(A), world.encrypts(A), world.stage) == ("PERMISSIVE", False, Stage.MOVING)
        await world.acknowledged()
        assert (world.serves(A), world.encrypts(A), world.stage) == ("DISABLE", False, None)

    takes_over(tmp_path, until, after)


def test_who_does_not_come_back_is_waited_for_as_long_as_a_step_may_take(tmp_path: Path) -> None:
    async def until(world: World) -> None:
        world.holding.add(B)
        await world.write(policy("one", "DISABLE"))
        await world.acknowledged()

    async def after(world: World) -> None:
        newest = world.mesh.published.value.change
        world.known = {A: ProxyProgress(connected=True, serial=1, change=newest), B: NO_PROGRESS, STUCK: NO_PROGRESS}
        await world.look()
        assert world.stage is Stage.MOVING
        await world.passes(BOUND)
        assert (world.serves(A), world.stage) == ("DISABLE", None)

    takes_over(tmp_path, until, after)


def test_a_change_that_was_stored_and_not_read_takes_all_of_its_steps(tmp_path: Path) -> None:
    """Also what a rule of the same change says to clients waits."""

    async def scenario(first: World) -> None:
        await stored(first, policy("one", "DISABLE"), rule("DISABLE"))  # the follower has not had its turn
        assert first.serves(A) == "STRICT"
        await taken_over(first, tmp_path, after)

    async def after(world: World) -> None:
        assert (world.serves(A), world.is_told(A), world.stage) == ("PERMISSIVE", True, Stage.OPENING)
        await world.acknowledged(1)
        assert (world.serves(A), world.is_told(A), world.stage) == ("PERMISSIVE", False, Stage.MOVING)
        await world.acknowledged(1)
        assert (world.serves(A), world.is_told(A), world.stage) == ("DISABLE", False, None)

    play(tmp_path, scenario, policy("one", "STRICT"), rule("ISTIO_MUTUAL"))


def test_what_was_written_meanwhile_comes_after_what_was_on_its_way(tmp_path: Path) -> None:
    async def until(world: World) -> None:
        world.holding.add(B)
        await world.write(policy("one", "DISABLE"))
        await world.acknowledged()
        await world.write(policy("one", "STRICT"))
        assert (world.serves(A), world.stage) == ("PERMISSIVE", Stage.MOVING)

    async def after(world: World) -> None:
        assert (world.serves(A), world.encrypts(A), world.stage) == ("PERMISSIVE", False, Stage.MOVING)
        seen: list[tuple[str, bool, Stage | None]] = []
        for _ in range(2):
            await world.acknowledged(1)
            seen.append((world.serves(A), world.encrypts(A), world.stage))
        assert seen == [
            ("PERMISSIVE", True, Stage.MOVING),  # the server takes both: there is nothing to wait for
            ("STRICT", True, None),
        ]

    takes_over(tmp_path, until, after)


def test_a_rule_that_goes_with_the_modes_on_their_way_is_gone_with_them(tmp_path: Path) -> None:
    """Though other modes are stored by then, which it would suit."""

    async def until(world: World) -> None:
        world.holding.add(A)
        await world.write(policy("one", "DISABLE"))
        await world.delete(RULES, "one")
        await world.write(policy("one", "PERMISSIVE"))
        assert (world.serves(A), world.is_told(A), world.stage) == ("PERMISSIVE", True, Stage.OPENING)

    async def after(world: World) -> None:
        assert (world.serves(A), world.is_told(A), world.stage) == ("PERMISSIVE", True, Stage.OPENING)
        world.holding.add(B)
        await world.acknowledged()
        assert world.stage is Stage.OPENING
        world.holding.clear()
        await world.acknowledged(1)
        assert (world.serves(A), world.is_told(A), world.stage) == ("PERMISSIVE", False, Stage.MOVING)

    takes_over(tmp_path, until, after, policy("one", "STRICT"), rule("ISTIO_MUTUAL"))


def test_what_was_taken_back_before_clients_heard_is_dropped(tmp_path: Path) -> None:
    async def scenario(first: World) -> None:
        first.holding.add(A)
        await first.write(policy("one", "STRICT"))
        assert first.stage is Stage.OPENING
        await stored(first, policy("one", "DISABLE"))
        await taken_over(first, tmp_path, after)

    async def after(world: World) -> None:
        assert (world.serves(A), world.encrypts(A), world.stage) == ("DISABLE", False, None)

    play(tmp_path, scenario, policy("one", "DISABLE"))


def test_the_receipt_is_live_with_the_last_step_here_too(tmp_path: Path) -> None:
    """Of the changes that were in effect there is none, as before."""
    numbers: dict[str, int] = {}

    async def until(world: World) -> None:
        numbers["done"] = await world.write(routing(1))
        await world.acknowledged()
        world.holding.add(B)
        numbers["mode"] = await world.write(policy("one", "DISABLE"))
        numbers["other"] = await world.write(routing(2))
        await world.acknowledged()

    async def after(world: World) -> None:
        change = numbers["mode"]
        assert world.receipts.of(numbers["done"]) is None
        assert world.receipts.of(numbers["other"]) is None
        told = world.receipt(change)
        assert (told.live, told.steps) == (False, (Stage.MOVING.value,))
        assert world.receipts.publication_of(change) is None
        world.holding.add(STUCK)
        await world.acknowledged()
        assert (world.receipt(change).waiting, world.receipt(change).absent) == ((), (STUCK,))
        world.holding.clear()
        await world.acknowledged()
        assert (world.receipt(change).live, world.receipt(change).steps) == (True, ())

    takes_over(tmp_path, until, after)


def test_after_the_last_step_nothing_is_left_to_do(tmp_path: Path) -> None:
    async def until(world: World) -> None:
        await world.write(policy("one", "STRICT"), rule("ISTIO_MUTUAL"))
        await world.acknowledged()

    async def after(world: World) -> None:
        assert (world.serves(A), world.is_told(A), world.stage) == ("STRICT", True, None)

    takes_over(tmp_path, until, after, policy("one", "DISABLE"))


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
def test_a_file_that_cannot_be_used_leaves_everything_as_it_is_stored(
    tmp_path: Path, spoil: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    async def until(world: World) -> None:
        world.holding.add(B)
        await world.write(policy("one", "DISABLE"))
        await world.acknowledged()
        file = tmp_path / FILE
        before = file.read_text()
        file.write_text(spoil(before))
        assert file.read_text() != before

    async def after(world: World) -> None:
        assert (world.serves(A), world.encrypts(A), world.stage) == ("DISABLE", False, None)

    with caplog.at_level(logging.WARNING):
        takes_over(tmp_path, until, after)
    assert "all is in effect as it is stored" in caplog.text


def test_what_cannot_be_written_is_no_file_that_says_something_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        assert (tmp_path / FILE).exists()
        tmp_path.joinpath(f".{FILE}.{os.getpid()}").mkdir()
        with caplog.at_level(logging.WARNING):
            await world.write(policy("one", "DISABLE"))
        assert world.stage is Stage.OPENING, "the change goes on"
        assert not (tmp_path / FILE).exists()
        assert "cannot be written" in caplog.text

    play(tmp_path, scenario)


def test_rules_are_kept_with_what_they_say_of_tls_and_written_only_when_that_changes(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(rule("ISTIO_MUTUAL", subsets="v1"))
        file = tmp_path / FILE
        [told] = json.loads(file.read_text())["state"]["told"]
        assert told["policy"]["tls"]["mode"] == "ISTIO_MUTUAL"
        before = file.stat().st_ino
        other = yaml.safe_load(rule("ISTIO_MUTUAL", subsets="v1"))
        other["spec"]["trafficPolicy"]["connectionPool"] = {"tcp": {"maxConnections": 7}}
        await world.write(yaml.safe_dump(other))
        assert file.stat().st_ino == before
        await world.write(rule("DISABLE", subsets="v1"))
        assert file.stat().st_ino != before

    play(tmp_path, scenario)
