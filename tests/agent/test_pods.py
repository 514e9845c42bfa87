"""Pods on real Envoys in the root rung."""

import asyncio

import pytest

from meshwright.model.pod import EnvironmentVariable
from tests.agent.mesh import mesh, pod, web

pytestmark = pytest.mark.timeout(60)


def test_a_request_goes_through_both_envoys_and_everything_ends() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2), pod("b", 3))
            await m.wired.ready("a", "b")
            answer = await m.get("a", "10.244.0.3")
            assert answer.status == 200
            assert answer.header("server") == "envoy"
            await m.wired.agent.stop()
            inventory = await m.holder.inventory()
            assert inventory.pods == ()
            assert inventory.processes == ()

    asyncio.run(scenario())
