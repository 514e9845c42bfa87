"""The table of services reaches the sandbox, and changing it touches no pod."""

import asyncio
import json
from dataclasses import replace

import uvloop

from meshwright.agent.http_client import HttpRequest, exchange
from meshwright.agent.settings import Rung
from tests.agent.mesh import Mesh, mesh, pod

VIP = "240.240.7.7"


def serve_from(m: Mesh, *endpoints: str) -> None:
    """Wish that the service has these endpoints."""
    desired = m.wired.agent.desired
    desired.set(replace(desired.value, services=((f"{VIP}:80", endpoints),)))


async def who_answers(m: Mesh) -> int:
    """The pid of the application behind the service, from a pod without a proxy; 0 when refused."""
    async with m.holder.client() as client:
        connection = await client.socket("outside.demo")
        try:
            await asyncio.get_running_loop().sock_connect(connection, (VIP, 80))
        except OSError:
            connection.close()
            return 0
        answer = await exchange(connection, HttpRequest("/who", (("Host", VIP),)))
    return json.loads(answer.body)["pid"]


async def eventually(m: Mesh, pid: int) -> None:
    async with asyncio.timeout(20):
        while await who_answers(m) != pid:
            await asyncio.sleep(0.02)


def test_services_change_and_pods_stay() -> None:
    async def scenario() -> None:
        async with mesh(Rung.ROOT) as m:
            m.wired.want(pod("a", 2), pod("plain", 3, role=None), pod("outside", 4, role=None))
            await m.wired.ready("a", "plain", "outside")
            before = (await m.holder.inventory()).processes
            pids = {name: (await m.ask(name, "/who"))["pid"] for name in ("a", "plain", "outside")}
            for number, name in enumerate(pids):
                serve_from(m, f"10.244.0.{2 + number}:9080")
                await eventually(m, pids[name])
            serve_from(m)
            await eventually(m, 0)
            assert (await m.holder.inventory()).processes == before

    uvloop.run(scenario())
