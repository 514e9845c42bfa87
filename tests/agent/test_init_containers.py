"""Init containers on real Envoys, in all rungs: their order, what becomes of failures, those that stay, adoption."""

import asyncio
import signal
from dataclasses import replace

import pytest
import uvloop

from meshwright.agent.settings import Rung
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import ContainerStatus, PlannedPod, PodPhase
from meshwright.model.pod import Container, Probe, ProbeType, RestartPolicy
from meshwright.processes.holder_client import ProcessInfo
from tests.agent.mesh import Holder, Mesh, Wired, holder, killed_agent, mesh, origin, pod, web

WAITS = "trap 'exit 0' USR1; echo waits; while :; do sleep 0.05; done"
STAYS = "trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.05; done"
PLACES = {Rung.ROOT: (2, "10.244"), Rung.USER: (2, "10.244"), Rung.LOOPBACK: (200, "127.66")}


def shell(name: str, script: str, **more: object) -> Container:
    return replace(Container(name, "any", origin(name), command=("sh", "-c", script)), **more)


def prepared(
    *first: Container,
    app: Container | None = None,
    rung: Rung = Rung.ROOT,
    policy: RestartPolicy = RestartPolicy.ALWAYS,
) -> PlannedPod:
    number, network = PLACES[rung]
    made = pod("a", number, app or web(), network=network)
    return replace(made, template=replace(made.template, init_containers=first, restart_policy=policy))


def part(wired: Wired, name: str) -> ContainerStatus:
    status = wired.status("a")
    assert status is not None
    return next(each for each in status.containers if each.name == name)


def phase(wired: Wired) -> PodPhase | None:
    status = wired.status("a")
    return None if status is None else status.phase


def envoy_ended(wired: Wired) -> bool:
    envoy = part(wired, "istio-proxy")
    return envoy.reason == "Completed" and envoy.pid is None


async def processes(one: Holder) -> dict[str, ProcessInfo]:
    return {process.name: process for process in (await one.inventory()).processes}


async def send(m: Mesh, name: str, number: signal.Signals) -> None:
    async with m.holder.client() as client:
        await client.signal("a.demo", name, number)


@pytest.mark.parametrize("rung", list(PLACES))
def test_one_after_the_other_each_to_its_end_and_then_the_applications(rung: Rung) -> None:
    async def scenario() -> None:
        async with mesh(rung) as m:
            m.wired.want(prepared(shell("first", WAITS), shell("second", WAITS), rung=rung))
            await m.wired.until(lambda: phase(m.wired) is not None and part(m.wired, "first").pid is not None)
            assert part(m.wired, "istio-proxy").ready, "it may use the mesh"
            assert phase(m.wired) is PodPhase.PENDING
            assert [part(m.wired, name).reason for name in ("second", "app")] == ["PodInitializing"] * 2
            assert (await processes(m.holder)).keys() == {"istio-proxy", "first"}
            await asyncio.sleep(0.2)  # the shell has to set its trap
            await send(m, "first", signal.SIGUSR1)
            await m.wired.until(lambda: part(m.wired, "second").pid is not None)
            assert part(m.wired, "first") == ContainerStatus("first", True, 0, "Completed", exit_code=0)  # noqa: FBT003
            assert "app" not in await processes(m.holder)
            await asyncio.sleep(0.2)
            await send(m, "second", signal.SIGUSR1)
            await m.wired.ready("a")
            assert phase(m.wired) is PodPhase.RUNNING
            assert m.log("a", "second") == "waits\n"
            began = await processes(m.holder)
            order = [began[name].start_time for name in ("istio-proxy", "first", "second", "app")]
            assert order == sorted(order)

    uvloop.run(scenario())


def test_one_that_fails_is_run_again_until_it_succeeds() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(prepared(shell("first", WAITS)))
            await m.wired.until(lambda: phase(m.wired) is not None and part(m.wired, "first").pid is not None)
            await send(m, "first", signal.SIGKILL)
            await m.wired.until(
                lambda: part(m.wired, "first").restarts == 1 and part(m.wired, "first").pid is not None
            )
            assert phase(m.wired) is PodPhase.PENDING
            assert "app" not in await processes(m.holder)
            await asyncio.sleep(0.2)
            await send(m, "first", signal.SIGUSR1)
            await m.wired.ready("a")
            assert part(m.wired, "first").exit_code == 0

    uvloop.run(scenario())


def test_one_that_fails_for_good_fails_the_pod() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(prepared(shell("first", "exit 3"), shell("second", "true"), policy=RestartPolicy.NEVER))
            await m.wired.until(lambda: phase(m.wired) is PodPhase.FAILED)
            await m.wired.until(lambda: envoy_ended(m.wired))
            assert part(m.wired, "first") == ContainerStatus(
                "first", ready=False, restarts=0, reason="Error", message="ended with exit code 3", exit_code=3
            )
            assert (await processes(m.holder)).keys() == {"istio-proxy", "first"}

    uvloop.run(scenario())


def test_one_that_stays_runs_beside_the_others_and_ends_after_them() -> None:
    """It does not keep the pod from being done, whatever the pod's policy says of itself."""

    async def scenario() -> None:
        async with mesh() as m:
            stays = shell("beside", STAYS, stays=True)
            app = shell("app", WAITS)
            m.wired.want(prepared(stays, shell("second", "true"), app=app, policy=RestartPolicy.NEVER))
            await m.wired.ready("a")
            killed = (await processes(m.holder))["beside"]
            await send(m, "beside", signal.SIGKILL)
            await m.wired.until(lambda: part(m.wired, "beside").restarts == 1 and part(m.wired, "beside").ready)
            assert (await processes(m.holder))["beside"].pid != killed.pid
            await asyncio.sleep(0.2)
            await send(m, "app", signal.SIGUSR1)
            await m.wired.until(lambda: phase(m.wired) is PodPhase.SUCCEEDED)
            await m.wired.until(lambda: envoy_ended(m.wired))
            assert part(m.wired, "beside").reason == "Completed"
            assert m.log("a", "beside").endswith("bye\n")
            assert all(process.exit is not None for process in (await processes(m.holder)).values())

    uvloop.run(scenario())


def test_the_next_one_waits_for_the_startup_probe_of_one_that_stays() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            ask = Probe(ProbeType.EXEC, command=("false",), period=Milliseconds(50), failure_threshold=10**6)
            m.wired.want(prepared(shell("beside", STAYS, stays=True, startup=ask)))
            await m.wired.until(lambda: phase(m.wired) is not None and part(m.wired, "beside").pid is not None)
            await asyncio.sleep(0.5)
            assert part(m.wired, "app").reason == "PodInitializing"
            assert "app" not in await processes(m.holder)

    uvloop.run(scenario())


def file_probe(name: str) -> Probe:
    return Probe(ProbeType.EXEC, command=("test", "-e", name), period=Milliseconds(100), failure_threshold=1)


def test_one_that_stays_is_probed_among_its_own_files() -> None:
    """As Kubernetes does: not ready while its readiness probe fails, started again when its liveness probe does."""

    async def scenario() -> None:
        alive, ready = file_probe("/tmp/alive"), file_probe("/tmp/ready")
        script = f"touch /tmp/alive; trap 'touch /tmp/ready' USR1; trap 'rm /tmp/alive' USR2; {STAYS}"
        asked = {"startup": replace(alive, failure_threshold=10**6), "liveness": alive, "readiness": ready}
        async with mesh() as m:
            m.wired.want(prepared(shell("beside", script, stays=True, **asked)))
            await m.wired.until(lambda: phase(m.wired) is not None and part(m.wired, "app").ready)
            assert not part(m.wired, "beside").ready
            status = m.wired.status("a")
            assert status is not None
            assert not status.ready
            await send(m, "beside", signal.SIGUSR1)
            await m.wired.ready("a")
            await send(m, "beside", signal.SIGUSR2)
            await m.wired.until(lambda: part(m.wired, "beside").restarts == 1)
            await m.wired.until(lambda: part(m.wired, "beside").ready is False and part(m.wired, "app").ready)

    uvloop.run(scenario())


def test_the_next_agent_runs_none_of_them_again() -> None:
    async def scenario() -> None:
        planned = prepared(shell("first", "echo once"), shell("beside", STAYS, stays=True))
        async with holder(Rung.ROOT) as one:
            async with killed_agent(one, planned) as made:
                await made.ready("a")
                before = await processes(one)
            async with killed_agent(one, planned) as made:
                await made.until(lambda: part(made, "first").reason == "Completed")
                await made.ready("a")
                assert phase(made) is PodPhase.RUNNING
                assert await processes(one) == before
                await made.agent.stop()

    uvloop.run(scenario())


def test_the_next_agent_leaves_a_pod_alone_that_has_ended() -> None:
    """Not even its Envoy is started for it."""

    async def scenario() -> None:
        planned = prepared(shell("first", "true"), app=shell("app", "exit 4"), policy=RestartPolicy.NEVER)
        async with holder(Rung.ROOT) as one:
            async with killed_agent(one, planned) as made:
                await made.until(lambda: phase(made) is PodPhase.FAILED)
                await made.until(lambda: envoy_ended(made))
                before = await processes(one)
            async with killed_agent(one, planned) as made:
                await made.until(lambda: phase(made) is PodPhase.FAILED)
                await asyncio.sleep(0.5)
                assert part(made, "app").exit_code == 4
                assert await processes(one) == before
                await made.agent.stop()

    uvloop.run(scenario())
