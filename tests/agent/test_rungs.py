"""The same pods with one uid in a user namespace, and without any namespaces."""

import uvloop

from meshwright.agent.settings import Rung
from tests.agent.mesh import mesh, pod


def test_one_uid_in_a_user_namespace() -> None:
    async def scenario() -> None:
        async with mesh(Rung.USER) as m:
            m.wired.want(pod("a", 2), pod("b", 3))
            await m.wired.ready("a", "b")
            answer = await m.get("a", "10.244.0.3")
            assert (answer.status, answer.header("server")) == (200, "envoy")

    uvloop.run(scenario())


def test_loopback_addresses_without_namespaces() -> None:
    async def scenario() -> None:
        async with mesh(Rung.LOOPBACK) as m:
            m.wired.want(pod("a", 200, network="127.66"), pod("b", 201, network="127.66"))
            await m.wired.ready("a", "b")
            env = await m.ask("a", "/env")
            assert env["MESHWRIGHT_BIND_ADDRESS"] == "127.67.0.200"
            assert env["http_proxy"] == "http://127.66.0.200:15001"
            answer = await m.get("a", "127.66.0.201", port=15006)
            assert (answer.status, answer.header("server")) == (200, "envoy")
            await m.wired.agent.stop()
            assert (await m.holder.inventory()).processes == ()

    uvloop.run(scenario())
