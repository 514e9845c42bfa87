"""Lifecycle hooks on real pods: when they run, what becomes of their container, and what is told."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from meshwright.agent.settings import Rung
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import ContainerStatus, Occurrence, PlannedPod, PodPhase
from meshwright.model.pod import Container, Hook, Probe, ProbeType, RestartPolicy
from tests.agent.mesh import Wired, holder, killed_agent, mesh, origin, pod, web

FAST = Milliseconds(50)
PLACES = {Rung.ROOT: (2, "10.244"), Rung.USER: (2, "10.244"), Rung.LOOPBACK: (201, "127.66")}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every pod sees and may write to."""
    made = Path(tempfile.mkdtemp(prefix="mwh", dir="/var/tmp"))
    made.chmod(0o777)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def run(script: str) -> Hook:
    return Hook(Probe(ProbeType.EXEC, command=("sh", "-c", script)))


def shell(folder: Path, name: str = "app", **more: object) -> Container:
    """A container that writes down when it began, and when it was told to end."""
    script = f"echo began {name} >> {folder}/notes; trap 'echo told {name} >> {folder}/notes; exit 0' TERM; "
    script += "while :; do sleep 0.05; done"
    return replace(Container(name, "any", origin(name), command=("sh", "-c", script)), **more)


def alone(*containers: Container, grace: int = 20_000) -> PlannedPod:
    return pod("a", 2, *containers, role=None, grace=grace)


def notes(folder: Path) -> list[str]:
    file = folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


def part(made: Wired, name: str = "app") -> ContainerStatus | None:
    status = made.status("a")
    return None if status is None else next(each for each in status.containers if each.name == name)


def is_shown(made: Wired, reason: str) -> bool:
    status = part(made)
    return status is not None and status.reason == reason


async def written(folder: Path, line: str) -> None:
    async with asyncio.timeout(30):
        while line not in notes(folder):
            await asyncio.sleep(0.02)


Told = dict[tuple[str, str], Occurrence]


@contextlib.asynccontextmanager
async def listening(made: Wired) -> AsyncGenerator[Told]:
    """What is told of pod a, kept when it is gone."""
    told: Told = {}

    async def follow() -> None:
        while True:
            seen = made.agent.statuses.value
            status = made.status("a")
            for each in status.containers if status is not None else ():
                told.update({(each.name, one.reason): one for one in each.told})
            await made.agent.statuses.newer_than(seen)

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        yield told
        following.cancel()


def test_a_container_runs_for_others_when_its_post_start_hook_is_done(folder: Path) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            hook = run(f"echo hook >> {folder}/notes; until [ -e {folder}/go ]; do sleep 0.05; done")
            m.wired.want(alone(shell(folder, post_start=hook)))
            await written(folder, "hook")
            status = part(m.wired)
            assert status is not None
            assert (status.ready, status.pid, status.reason) == (False, None, "ContainerCreating")
            (folder / "go").touch()
            await m.wired.ready("a")
            status = part(m.wired)
            assert status is not None
            assert (status.restarts, status.reason, status.told) == (0, "Running", ())
            assert sorted(notes(folder)) == ["began app", "hook"]

    uvloop.run(scenario())


def test_a_post_start_hook_that_fails_ends_its_container(folder: Path) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            hook = run(f"until grep -q began {folder}/notes; do sleep 0.05; done; [ -e {folder}/go ] || exit 3")
            m.wired.want(alone(shell(folder, post_start=hook, pre_stop=run(f"echo hook >> {folder}/notes"))))
            await m.wired.until(lambda: (s := part(m.wired)) is not None and s.restarts == 1)
            assert notes(folder)[:3] == ["began app", "hook", "told app"]
            status = part(m.wired)
            assert status is not None
            failed, killing = status.told
            assert (failed.reason, failed.message) == ("FailedPostStartHook", "PostStartHook failed: exit code 3: ")
            assert (killing.reason, killing.warning) == ("Killing", False)
            assert killing.message == "Container app failed postStart hook, will be restarted"
            (folder / "go").touch()
            await m.wired.ready("a")

    uvloop.run(scenario())


@pytest.mark.parametrize("rung", list(PLACES))
def test_hooks_come_before_the_end_and_after_the_barrier(folder: Path, rung: Rung) -> None:
    """That of a container that stays begins at once, but it is told to end after the applications."""

    async def scenario() -> None:
        async with mesh(rung) as m:
            hook = run(f"echo hook >> {folder}/notes; sleep 0.3")
            beside = shell(folder, "beside", stays=True, pre_stop=Hook(sleep=FAST))
            number, network = PLACES[rung]
            made = pod("a", number, shell(folder, pre_stop=hook), shell(folder, "other"), network=network)
            m.wired.want(replace(made, template=replace(made.template, init_containers=(beside,))))
            await m.wired.ready("a")
            (folder / "notes").unlink()
            async with listening(m.wired) as told:
                m.wired.want()
                await written(folder, "hook")
                assert "drained a ready=False phase=Terminating" in m.wired.notes
                await m.wired.gone("a")
            assert told == {}
            assert [line for line in notes(folder) if line != "told other"] == ["hook", "told app", "told beside"]
            assert notes(folder).index("told other") < 2, "it does not wait for the hook of another one"

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("script", "grace", "message"),
    [("exit 4", 20_000, "exit code 4: "), ("sleep 60", 1_000, "not done within the grace period of 1 s")],
    ids=["fails", "too-long"],
)
def test_a_pre_stop_hook_that_fails_stops_nothing(folder: Path, script: str, grace: int, message: str) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(alone(shell(folder, pre_stop=run(script)), grace=grace))
            await m.wired.ready("a")
            async with listening(m.wired) as told:
                m.wired.want()
                await m.wired.gone("a")
            assert told["app", "FailedPreStopHook"].message == f"PreStopHook failed: {message}"
            assert notes(folder) == ["began app", "told app"]

    uvloop.run(scenario())


def test_one_that_stays_is_prepared_for_its_end_when_the_applications_are_done(folder: Path) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            beside = shell(folder, "beside", stays=True, pre_stop=run(f"echo hook >> {folder}/notes"))
            done = Container("app", "any", origin("app"), command=("sh", "-c", "sleep 0.3"))
            made = alone(done)
            template = replace(made.template, init_containers=(beside,), restart_policy=RestartPolicy.NEVER)
            m.wired.want(replace(made, template=template))
            await m.wired.until(lambda: (s := m.wired.status("a")) is not None and s.phase is PodPhase.SUCCEEDED)
            await written(folder, "told beside")
            assert notes(folder) == ["began beside", "hook", "told beside"]

    uvloop.run(scenario())


def test_a_program_that_ends_during_its_hook_is_not_waited_for() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(alone(web(pre_stop=Hook(sleep=Milliseconds(3_600_000))), grace=3_600_000))
            await m.wired.ready("a")
            m.wired.want()
            await m.wired.until(lambda: (s := m.wired.status("a")) is not None and not s.ready)
            with contextlib.suppress(Exception):
                await m.get("a", "10.244.0.2", "/crash")
            await m.wired.gone("a")

    uvloop.run(scenario())


def test_what_fails_its_liveness_probe_is_prepared_for_its_end(folder: Path) -> None:
    """And it is told how often which probe failed, and what follows."""

    async def scenario() -> None:
        async with mesh() as m:
            ask = Probe(ProbeType.EXEC, command=("test", "!", "-e", f"{folder}/dead"), period=FAST)
            hook = run(f"echo hook >> {folder}/notes; rm {folder}/dead; false")
            m.wired.want(alone(shell(folder, liveness=ask, pre_stop=hook)))
            await m.wired.ready("a")
            (folder / "dead").touch()
            await m.wired.until(lambda: (s := part(m.wired)) is not None and s.restarts == 1)
            assert notes(folder)[:3] == ["began app", "hook", "told app"]
            status = part(m.wired)
            assert status is not None
            told = {one.reason: one for one in status.told}
            assert told["Unhealthy"].count == 3
            assert told["Unhealthy"].message == "Liveness probe failed: exit code 1: "
            assert told["Killing"].message == "Container app failed liveness probe, will be restarted"
            assert told["FailedPreStopHook"].count == 1

    uvloop.run(scenario())


def test_what_is_not_ready_at_first_is_told_as_often_as_its_period_meets_it(folder: Path) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            ask = Probe(ProbeType.EXEC, command=("test", "-e", f"{folder}/go"), period=Milliseconds(1_500))
            m.wired.want(alone(shell(folder, readiness=ask)))
            await m.wired.until(lambda: (s := part(m.wired)) is not None and bool(s.told))
            (folder / "go").touch()
            await m.wired.ready("a")
            status = part(m.wired)
            assert status is not None
            [failed] = status.told
            assert (failed.reason, failed.topic, failed.warning) == ("Unhealthy", "readiness", True)
            assert failed.message == "Readiness probe failed: exit code 1: "
            assert failed.count < 4, "it was asked every 0.2 s"

    uvloop.run(scenario())


def test_the_next_agent_carries_out_a_hook_again_that_was_cut(folder: Path) -> None:
    """And its pods' preStop hooks, though it has not started them."""

    async def scenario() -> None:
        wait = run(f"echo hook >> {folder}/notes; until [ -e {folder}/go ]; do sleep 0.05; done")
        planned = alone(shell(folder, post_start=wait, pre_stop=run(f"echo last >> {folder}/notes")))
        async with holder(Rung.ROOT) as one:
            async with killed_agent(one, planned) as made:
                await made.until(lambda: is_shown(made, "ContainerCreating"))
                await written(folder, "hook")
            (folder / "go").touch()
            async with killed_agent(one, planned) as made:
                await made.ready("a")
                assert sorted(notes(folder)) == ["began app", "hook", "hook"]
            async with killed_agent(one, planned) as made:
                await made.ready("a")
                made.want()
                await made.gone("a")
                assert notes(folder)[3:] == ["last", "told app"]
                await made.agent.stop()

    uvloop.run(scenario())
