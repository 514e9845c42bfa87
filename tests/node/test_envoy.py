"""A real Envoy behind the whole way: NodeServer, Relay, XdsServer, with a certificate that was asked for."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.ca.authority import Authority
from meshwright.ca.requested_leaves import RequestedLeaves
from meshwright.model.planned_pod import DesiredState
from meshwright.model.published import EncodedResource, Published
from meshwright.node.progress import Live
from meshwright.node.relay import Relay
from meshwright.node.server import NodeServer
from meshwright.xds.server import XdsServer
from meshwright.xds.session import Timing
from tests.node.mesh import ControlPlane, live_on_all, pod, relay, until
from tests.xds.envoys import envoy, folder, free_port, get
from tests.xds.mesh import CLASS, PROXY, cluster, direct, listener, mutual_tls, resources

WEB = pod("web-1")
assert WEB.name == PROXY


def clock() -> datetime:
    return datetime.now(UTC)


def numbered(change: int, *items: EncodedResource) -> Published:
    return Published({PROXY: CLASS}, {CLASS: resources(*items)}, {CLASS: ()}, change=change)


class AgentSide:
    """What the agent's process has, without pods."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.relay: Relay = relay(place)

    async def start(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.relay)
        await self.relay.loaded()
        leaves = RequestedLeaves(self.relay, self.place / "leaves", clock)
        await leaves.add(PROXY, WEB.identity)
        server = await stack.enter_async_context(XdsServer(self.relay.published, leaves, timing=Timing(removal=0.2)))
        self.relay.watch(server)
        await server.add(PROXY, self.place / "xds")


def test_a_change_reaches_an_envoy_and_its_receipt_comes_back_with_outages_on_either_side() -> None:
    async def run() -> None:
        front, tls = free_port(), free_port()
        fixed = (listener("front", front, "r"), listener("tls", tls, "r", **mutual_tls()))
        with folder() as place:
            authority = Authority.open(place / "ca", "cluster.local", clock())
            plane = ControlPlane(place)
            plane.roots = Latest(authority.roots_pem)
            plane.sign = lambda identity, csr: authority.sign(csr, identity, clock())
            plane.desired.set(DesiredState((WEB,)))
            plane.published.set(numbered(1, *fixed, direct("r", "one")))
            async with AsyncExitStack() as agent:
                async with plane.running() as server:
                    await AgentSide(place).start(agent)
                    async with envoy(place / "xds") as proxy:
                        await until(lambda: server.live(1) == {PROXY: Live.LIVE}, 30)
                        assert await get(front) == (200, "one")
                        certificates = await proxy.admin("/certs")
                        assert WEB.identity.uri in certificates
                        for number in range(2, 12):
                            plane.published.set(numbered(number, *fixed, direct("r", str(number))))
                            await is_live(server, number)
                            assert await get(front) == (200, str(number))
                        # what Envoy refuses comes back with its words
                        plane.published.set(numbered(12, *fixed, direct("r", "12"), cluster("broken", "0s")))
                        await until(lambda: bool(server.progress()[PROXY].refused))
                        plane.published.set(numbered(13, *fixed, direct("r", "13")))
                        await is_live(server, 13)
                    await until(lambda: server.live(13) == {PROXY: Live.ABSENT})
                # the control plane is away: an Envoy that starts now gets everything from the relay
                async with envoy(place / "xds"):
                    await until_served(front, "13")
            await from_disk(plane, place, front, fixed)

    uvloop.run(run())


async def from_disk(plane: ControlPlane, place: Path, front: int, fixed: tuple[EncodedResource, ...]) -> None:
    """An Envoy beside an agent that is new as well, with the control plane away and then there again."""
    async with AsyncExitStack() as agent:
        side = AgentSide(place)
        await side.start(agent)
        assert not side.relay.connected.value
        async with envoy(place / "xds") as proxy:
            await until_served(front, "13")
            assert WEB.identity.uri in await proxy.admin("/certs")
            async with plane.running() as server:
                await until(lambda: server.live(13) == {PROXY: Live.LIVE})
                plane.published.set(numbered(14, *fixed, direct("r", "14")))
                await is_live(server, 14)
                assert await get(front) == (200, "14")


async def is_live(server: NodeServer, change: int) -> None:
    assert await live_on_all(server, change, 20)
    assert server.live(change) == {PROXY: Live.LIVE}


async def until_served(port: int, body: str) -> None:
    async with asyncio.timeout(20):
        while await get(port) != (200, body):
            await asyncio.sleep(0.02)
