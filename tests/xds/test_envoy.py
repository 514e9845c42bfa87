"""Our server feeds a real Envoy over a unix socket."""

import asyncio

from meshwright.asynctools.latest import Latest
from meshwright.xds.server import XdsServer
from meshwright.xds.session import Timing
from tests.xds.envoys import envoy, folder, free_port, get
from tests.xds.mesh import PROXY, cluster, direct, endpoints, listener, published, routed

QUICK = Timing(removal=0.2)


def test_listeners_clusters_endpoints_and_routes_arrive() -> None:
    async def run() -> None:
        front, back = free_port(), free_port()
        items = (
            listener("front", front, "front"), routed("front", "inner"), cluster("inner"), endpoints("inner", back),
            listener("back", back, "back"), direct("back", "hello"),
        )  # fmt: skip
        with folder() as place:
            async with XdsServer(Latest(published(*items)), timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds"):
                    assert await server.synced(PROXY, 30)
                    assert await get(front) == (200, "hello")
                    status = server.status_of(PROXY)
                    assert status.node_id.startswith("sidecar~")
                    assert {name for names in status.acknowledged.values() for name in names} == {
                        "front", "back", "inner",
                    }  # fmt: skip

    asyncio.run(run())
