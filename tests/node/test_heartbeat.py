"""A control plane that is stopped, and a node that is: both are noticed, and nobody who lives is disturbed."""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState
from meshwright.node.messages import PATH, Commit, Message, encode
from meshwright.node.progress import PROGRESS, Live, ProxyProgress, progress_row
from meshwright.node.relay import Relay
from meshwright.node.tables import Table, TableSender, View
from meshwright.xds.grpc import prefix
from meshwright.xds.heartbeat import Heartbeat
from tests.node.mesh import ControlPlane, endpoints, live_on_all, pod, published, until
from tests.node.test_hostile import HELLO
from tests.xds.envoys import folder
from tests.xds.peers import raw_client

ROOT = Path(__file__).resolve().parents[2]
QUICK = Heartbeat(0.3, 0.5)
WEB = pod("web")


def test_a_stopped_control_plane_is_left_and_found_again() -> None:
    async def run() -> None:
        with folder() as place:
            program = (sys.executable, "-m", "tests.node.plane_process", str(place), "0")
            process = await asyncio.create_subprocess_exec(*program, cwd=ROOT)
            try:
                async with Relay(place / "node", place / "node-cache", heartbeat=QUICK) as node:
                    await node.loaded()
                    for _ in range(2):
                        await until(lambda: node.connected.value)
                        process.send_signal(signal.SIGSTOP)
                        await until(lambda: not node.connected.value)
                        kept = node.published.value
                        assert node.desired.value.pods
                        async with asyncio.timeout(10):
                            await node.drained(WEB.name)  # waits for nobody who cannot answer
                        await asyncio.sleep(1)  # attempts to connect reach a socket that nobody serves
                        assert node.published.value is kept
                        process.send_signal(signal.SIGCONT)
                        await until(lambda kept=kept: node.published.value.change > kept.change)
            finally:
                process.kill()
                await process.wait()

    uvloop.run(run())


def test_a_stopped_node_is_away_and_its_proxies_are_absent() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(DesiredState((WEB,)))
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"web": "one"}, change=1))
            async with plane.running() as server:
                server.heartbeat = QUICK
                client = await raw_client(plane.socket)
                client.open(1, PATH)
                sender = TableSender()
                row = progress_row(ProxyProgress(connected=True, serial=1, change=1, refused=(), complaints=()))
                sender.aim(View({PROGRESS: Table({WEB.name: row})}))
                told: list[Message] = [HELLO]
                while (message := sender.next_message()) is not None:
                    told.append(message)
                assert isinstance(told[-1], Commit)
                for each in told:
                    data = encode(each)
                    client.h2.send_data(1, prefix(len(data)) + data)
                client.flush()
                await until(lambda: server.live(1) == {ProxyName("web.default"): Live.LIVE})
                plane.published.set(published({"one": (endpoints("x", "2"),)}, {"web": "one"}, change=2))
                await until(lambda: client.pings >= 2)  # alive, and named as the one who is waited for
                assert server.live(2) == {ProxyName("web.default"): Live.WAITING}
                client.silent = True
                await until(lambda: not server.nodes()["local"].connected)
                assert server.live(2) == {ProxyName("web.default"): Live.ABSENT}
                assert await live_on_all(server, 2, 0.1), "who is absent is not waited for"

    uvloop.run(run())
