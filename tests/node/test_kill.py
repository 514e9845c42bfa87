"""kill -9 of the control plane at any moment: the node has a whole state, and goes on with the next one."""

import asyncio
import sys
from pathlib import Path
from random import Random

import uvloop

from meshwright.model.published import Published
from tests.node.mesh import relay, until
from tests.xds.envoys import folder

ROOT = Path(__file__).resolve().parents[2]


def is_whole(state: Published) -> bool:
    """All resources are of the very change that the state says it is."""
    versions = {
        item.version for types in state.classes.values() for named in types.values() for item in named.values()
    }
    return versions <= {f"{state.change}."}


def test_states_are_whole_whenever_the_control_plane_is_killed() -> None:
    async def run() -> None:
        random = Random(3)
        with folder() as place:
            async with relay(place) as node:
                torn: list[int] = []

                async def watch() -> None:
                    seen = node.published.value
                    while True:
                        if not is_whole(seen):
                            torn.append(seen.change)
                        seen = await node.published.newer_than(seen)

                async with asyncio.TaskGroup() as tasks:
                    watching = tasks.create_task(watch())
                    for _ in range(8):
                        before = node.published.value.change
                        program = (sys.executable, "-m", "tests.node.plane_process", str(place), str(before + 10_000))
                        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT)
                        try:
                            await until(lambda before=before: node.published.value.change > before + 10_000, 30)
                            await asyncio.sleep(random.random() / 10)
                        finally:
                            process.kill()
                            await process.wait()
                        await until(lambda: not node.connected.value)
                    watching.cancel()
                assert not torn
                newest = node.published.value
            async with relay(place) as again:
                assert again.published.value.change == newest.change
                assert is_whole(again.published.value)

    uvloop.run(run())
