"""Long attacks: beside a client that goes on without end a real Envoy gets every change, and the server stays small;
and more broken conversations of HTTP/2 than `make test` has time for.
"""

import asyncio
import gc
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.xds.heartbeat import Heartbeat
from meshwright.xds.server import XdsServer
from tests.xds.envoys import envoy, folder, free_port, get
from tests.xds.mesh import CLASS, PROXY, cluster, direct, endpoints, listener, resources
from tests.xds.test_http2_oracle import compare

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = ProxyName("hostile.default")
ROUND = 10  # attacks
GROWTH = (
    96 << 20
)  # bytes; 16 MiB of messages that are not complete, 1 MiB and a response that waits, what Python keeps


def memory() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def attacked(process: asyncio.subprocess.Process, times: int) -> None:
    """Until so many further attacks are over."""
    assert process.stdout is not None
    for _ in range(times):
        assert await process.stdout.readline()


def test_attacks_without_end(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    theirs = replace(CLASS, address="theirs")
    many = [item for n in range(300) for item in (cluster(f"c{n}"), endpoints(f"c{n}", port))]

    def mesh(number: int) -> Published:
        changed = [cluster(f"c{n}", f"{number + 1}s") for n in range(300)]
        mine = resources(listener("l", port, "r"), direct("r", str(number)))
        return Published({PROXY: CLASS, HOSTILE: theirs}, {CLASS: mine, theirs: resources(*many, *changed)}, {})

    async def main() -> None:
        with folder() as place:
            news = Latest(mesh(0))
            async with XdsServer(news, heartbeat=Heartbeat(1.0, 1.0)) as server, envoy(place / "xds"):
                await server.add(PROXY, place / "xds")
                await server.add(HOSTILE, place / "hostile")
                assert await server.synced(PROXY, 30)
                program = (sys.executable, "-m", "tests.xds.hostile_program", str(place / "hostile"))
                process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
                try:
                    await attacked(process, ROUND)
                    before = memory()
                    for number in range(1, 201):
                        news.set(mesh(number))
                        assert await server.synced(PROXY, 30)
                        assert server.status_of(HOSTILE, in_full=False).waiting < 2 << 20
                    assert await get(port) == (200, "200")
                    await attacked(process, 2 * ROUND)
                    assert memory() - before < GROWTH
                finally:
                    process.kill()
                    await process.wait()

    uvloop.run(main())
    assert not [each for each in caplog.records if each.levelname == "ERROR"], "errors of ours"


@pytest.mark.timeout(240)  # nothing but computing: on a machine that others use, too, it takes its time
@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("side", ["server", "client"])
def test_broken_conversations_beside_h2(side: str, block: int) -> None:
    for seed in range(block << 32, (block << 32) + 4_000):
        compare(seed, serves=side == "server")
