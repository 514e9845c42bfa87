"""Both ends over a real socket: what one side has, the other gets; and either may go away."""

import asyncio
from dataclasses import replace

import uvloop

from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.planned_pod import DesiredState, HostForward
from meshwright.node.server import NodeServer
from tests.node.mesh import ControlPlane, bytes_of, endpoints, pod, published, relay, status, until
from tests.xds.envoys import folder

STATE = DesiredState(
    (pod("b"), pod("a", role=None)),
    (("web.default", ("10.0.0.1", "10.0.0.2")), ("web.default", ("10.0.0.3",)), ("a", ())),
    (HostForward(PortNumber(8080), ProxyName("b.default"), PortNumber(80)),),
    (("10.1.0.1:80", ("10.0.0.1:8080",)),),
)


def test_everything_arrives_and_only_what_the_node_is_to_know() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(STATE)
            plane.documents.set({"config": b"\x00\x01"})
            plane.published.set(
                published(
                    {"one": (endpoints("x", "1"), endpoints("y", "1")), "other": (endpoints("z", "1"),)},
                    {"b": "one", "elsewhere": "other"},
                    change=7,
                )
            )
            async with plane.running() as server, relay(place) as node:
                await node.loaded()
                assert node.desired.value == STATE
                assert node.documents.value == {"config": b"\x00\x01"}
                assert node.roots_pem.value == b"roots"
                got = node.published.value
                assert list(got.proxies) == ["b.default"]
                assert len(got.classes) == 1
                mine = published({"one": (endpoints("x", "1"), endpoints("y", "1"))}, {"b": "one"}, change=7)
                assert bytes_of(got) == bytes_of(mine)
                node.report({ProxyName("b.default"): status(), ProxyName("gone.default"): status(ready=False)})
                await server.reported("local")
                assert server.statuses.value == {
                    "b.default": status(), "gone.default": status(ready=False)
                }  # fmt: skip
                # the order of pods is kept when it changes alone
                plane.desired.set(replace(STATE, pods=STATE.pods[::-1]))
                await until(lambda: node.desired.value == plane.desired.value)

    uvloop.run(run())


def test_either_side_may_be_restarted() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(STATE)
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"b": "one"}, change=1))
            async with relay(place) as node:
                async with plane.running():
                    await node.loaded()
                await until(lambda: not node.connected.value)
                kept = node.published.value
                plane.published.set(published({"one": (endpoints("x", "2"),)}, {"b": "one"}, change=2))
                assert node.published.value is kept
                async with plane.running():
                    await until(lambda: node.published.value.change == 2)
            # the agent comes back, and the control plane is down
            async with relay(place) as again:
                assert bytes_of(again.published.value) == bytes_of(plane.published.value)
                assert again.desired.value == STATE
                assert not again.connected.value

    uvloop.run(run())


def test_a_control_plane_that_starts_hears_its_nodes_before_it_says_anything() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(STATE)
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"b": "one"}, change=1))
            async with relay(place) as node:
                node.report({ProxyName("b.default"): status()})
                async with plane.running():
                    await node.loaded()
                plane.desired.set(DesiredState())
                plane.published.set(published({}, {}))
                async with NodeServer(plane.published, plane.sign, plane.drained, held=True) as server:
                    await server.add("local", plane.desired, path=plane.socket)
                    await server.reported("local")
                    assert server.statuses.value == {"b.default": status()}
                    assert not node.connected.value
                    plane.desired.set(STATE)
                    plane.published.set(published({"one": (endpoints("x", "2"),)}, {"b": "one"}, change=2))
                    server.release()
                    seen = node.published.value
                    assert seen.change == 1
                    assert (await node.published.newer_than(seen)).change == 2
                    assert node.desired.value == STATE

    uvloop.run(run())


def test_a_new_machine_is_not_waited_for() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            async with NodeServer(plane.published, plane.sign, plane.drained, held=True) as server:
                await server.add("local", plane.desired, path=plane.socket)
                async with relay(place) as node:
                    async with asyncio.timeout(20):
                        await server.reported("local")
                    plane.desired.set(STATE)
                    server.release()
                    await node.loaded()
                    assert node.desired.value == STATE

    uvloop.run(run())
