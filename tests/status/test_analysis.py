"""What analyzers find becomes part of conditions, a while after it was published."""

from pathlib import Path
from typing import Any

from meshwright.model.planned_pod import PodPhase, PodStatus
from tests.status.world import World, rule, run

READY = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=())


def shadowed(name: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """A rule whose second route is never reached, but not because the first takes everything."""
    value = rule(name, "unused")
    value["metadata"]["annotations"] = annotations or {}
    value["spec"]["http"] = [
        {"match": [{"uri": {"prefix": path}}], "directResponse": {"status": 200}} for path in ("/api", "/api/v1")
    ]
    return value


def test_a_note_is_told_and_the_object_is_live_all_the_same(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(shadowed("s0"))
        await world.settle()
        assert (await world.condition("s0", "PassedAnalysis"))["status"] == "True"  # nobody has looked yet
        await world.analysis.refresh()
        await world.settle()
        told = await world.condition("s0", "PassedAnalysis")
        assert (told["status"], told["reason"]) == ("False", "warningsFound")
        assert "MW0113" in told["message"]
        assert (await world.condition("s0"))["status"] == "True"
        [message] = (await world.get("s0"))["status"]["validationMessages"]
        assert (message["type"]["code"], message["level"]) == ("MW0113", "WARNING")

        await world.write(rule("s0", "hello"))
        await world.settle()
        await world.analysis.refresh()
        await world.settle()
        assert (await world.condition("s0", "PassedAnalysis"))["status"] == "True"

    run(tmp_path, scenario)


def test_an_annotation_keeps_it_quiet(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.write(shadowed("s0", {"galley.istio.io/analyze-suppress": "IST0130"}))
        await world.settle()
        await world.analysis.refresh()
        await world.settle()
        assert (await world.condition("s0", "PassedAnalysis"))["status"] == "True"

    run(tmp_path, scenario)


def test_nobody_looks_again_because_of_readiness(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.settle(3)
        await world.analysis.refresh()
        world.mesh.ready(dict.fromkeys(world.mesh.published.value.proxies, READY))
        await world.settle(3)
        await world.analysis.refresh()
        assert world.analysis.looks == 1
        await world.write(rule("s0", "hello"))
        await world.settle(3)
        await world.analysis.refresh()
        assert world.analysis.looks == 2

    run(tmp_path, scenario)
