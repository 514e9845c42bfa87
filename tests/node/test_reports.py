"""What a node reports becomes receipts and statuses; it cannot speak for others."""

import asyncio
from collections.abc import Iterable

import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ENDPOINTS, ProxyName, ResourceName, Version
from meshwright.model.planned_pod import DesiredState
from meshwright.node.progress import Live
from meshwright.node.server import NodeServer
from meshwright.xds.server import ProxyStatus
from meshwright.xds.session import Complaint
from tests.node.mesh import ControlPlane, endpoints, live_on_all, pod, published, relay, status, until
from tests.xds.envoys import folder

WEB, DB = pod("web"), pod("db")


class Proxies:
    """Envoys that acknowledge when the test says so; stands where the xDS server stands."""

    def __init__(self) -> None:
        self.moved = Latest(0)
        self.known: dict[ProxyName, ProxyStatus] = {}

    def proxies(self) -> Iterable[ProxyName]:
        return tuple(self.known)

    def status_of(self, proxy: ProxyName, *, in_full: bool = True) -> ProxyStatus:
        del in_full
        return self.known.get(proxy, ProxyStatus())

    def set(self, proxy: ProxyName, *, connected: bool = True, synced: bool = True, complaint: str = "") -> None:
        name = ResourceName("x")
        complaints = (Complaint(proxy, ENDPOINTS, "1", complaint, name),) if complaint else ()
        refused = {(ENDPOINTS, name): Version("1")} if complaint else {}
        self.known[proxy] = ProxyStatus(connected, synced, refused=refused, complaints=complaints)
        self.moved.set(self.moved.value + 1)


def test_receipts_tell_live_waiting_and_absent_apart() -> None:
    async def run() -> None:
        with folder() as place:
            plane, envoys = ControlPlane(place), Proxies()
            plane.desired.set(DesiredState((WEB, DB)))
            members = {"web": "one", "db": "one", "far": "one"}
            plane.published.set(published({"one": (endpoints("x", "1"),)}, members, change=1))
            heard: list[Complaint] = []
            async with (
                NodeServer(plane.published, plane.sign, plane.drained, complain=heard.append) as server,
                relay(place) as node,
            ):
                await server.add("local", plane.desired, path=plane.socket)
                assert set(server.live(1).values()) == {Live.ABSENT}
                node.watch(envoys)
                envoys.set(WEB.name)
                envoys.set(DB.name, synced=False)
                await node.loaded()
                await until(lambda: server.live(1)[WEB.name] is Live.LIVE)
                await until(lambda: server.live(1)[DB.name] is Live.WAITING)
                assert server.live(1)[ProxyName("far.default")] is Live.ABSENT
                assert not await live_on_all(server, 1, 0.05)
                assert not await server.synced(0.05)
                envoys.set(DB.name, synced=True)
                assert await live_on_all(server, 1, 10)
                assert await server.synced(10)
                # the next change: both wait until they acknowledge it, and are live in the old one
                envoys.set(DB.name, synced=False)
                envoys.set(WEB.name, synced=False)
                plane.published.set(published({"one": (endpoints("x", "2"),)}, members, change=2))
                await until(lambda: node.published.value.change == 2)
                assert {server.live(2)[WEB.name], server.live(2)[DB.name]} == {Live.WAITING}
                assert server.live(1)[WEB.name] is Live.LIVE
                assert not await server.synced(0.05)
                envoys.set(WEB.name)
                envoys.set(DB.name, complaint="no such thing")
                assert await live_on_all(server, 2, 10)
                await until(lambda: [each.message for each in heard] == ["no such thing"])
                assert server.progress()[DB.name].refused == ((ENDPOINTS, "x", "1"),)
                envoys.set(DB.name, connected=False, synced=False)
                await until(lambda: server.live(1)[DB.name] is Live.ABSENT)
            assert not node.connected.value

    uvloop.run(run())


def test_what_a_proxy_refused_of_a_state_is_told_with_that_state_until_it_runs_the_next() -> None:
    """When there is another version, the server of the proxies forgets what was refused of the one before."""

    async def run() -> None:
        with folder() as place:
            plane, envoys = ControlPlane(place), Proxies()
            plane.desired.set(DesiredState((WEB, DB)))
            members = {"web": "one", "db": "one"}
            plane.published.set(published({"one": (endpoints("x", "1"),)}, members, change=1))
            async with plane.running() as server, relay(place) as node:
                await node.loaded()
                node.watch(envoys)
                envoys.set(WEB.name)
                envoys.set(DB.name, complaint="no such thing")
                await until(lambda: server.live(1)[DB.name] is Live.LIVE)
                envoys.set(DB.name, synced=False)
                plane.published.set(published({"one": (endpoints("x", "2"),)}, members, change=2))
                await until(lambda: node.published.value.change == 2)
                envoys.set(WEB.name, connected=False)
                await until(lambda: not server.progress()[WEB.name].connected)
                told = server.progress()[DB.name]
                assert (told.change, told.refused) == (1, ((ENDPOINTS, "x", "1"),))
                envoys.set(DB.name)
                await until(lambda: server.live(2)[DB.name] is Live.LIVE)
                assert server.progress()[DB.name].refused == ()

    uvloop.run(run())


def test_a_node_does_not_speak_for_another() -> None:
    async def run() -> None:
        with folder() as place:
            plane, envoys = ControlPlane(place), Proxies()
            plane.desired.set(DesiredState((WEB,)))
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"web": "one", "db": "one"}, change=1))
            async with plane.running() as server, relay(place) as node:
                await server.add("another", Latest(DesiredState((DB,))))
                node.watch(envoys)
                envoys.set(WEB.name)
                envoys.set(DB.name)
                node.report({WEB.name: status(), DB.name: status()})
                await server.reported("local")
                assert server.statuses.value == {WEB.name: status()}
                await until(lambda: server.live(1)[WEB.name] is Live.LIVE)
                assert server.live(1)[DB.name] is Live.ABSENT

    uvloop.run(run())


def test_a_pod_is_drained_by_asking() -> None:
    async def run() -> None:
        with folder() as place:
            plane, allowed, asked = ControlPlane(place), asyncio.Event(), list[tuple[str, bool]]()
            plane.desired.set(DesiredState((WEB,)))

            async def drained(name: ProxyName) -> None:
                asked.append((name, server.statuses.value[name].ready))
                await allowed.wait()

            plane.drained = drained
            async with plane.running() as server, relay(place) as node:
                await node.loaded()
                node.report({WEB.name: status()})
                await server.reported("local")
                node.report({WEB.name: status(ready=False)})
                async with asyncio.TaskGroup() as tasks:
                    waiting = tasks.create_task(node.drained(WEB.name))
                    await until(lambda: bool(asked))
                    assert not waiting.done()
                    allowed.set()
                # what was reported before the question was known when it came
                assert asked == [(WEB.name, False)]
            async with relay(place) as node:
                await node.drained(WEB.name)  # nobody to ask: no waiting

    uvloop.run(run())


def test_the_newest_stream_of_a_node_counts() -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            plane.desired.set(DesiredState((WEB,)))
            async with plane.running() as server, relay(place) as first:
                await first.loaded()
                first.report({WEB.name: status(ready=False)})
                await server.reported("local")
                async with relay(place) as second:
                    second.report({WEB.name: status()})
                    await until(lambda: server.statuses.value == {WEB.name: status()})
                await until(lambda: first.connected.value)
                assert server.nodes()["local"].connected

    uvloop.run(run())


def test_who_is_late_because_it_is_stopped_is_told_apart() -> None:
    """Asked only of those who are late and show no news; said no longer once they acknowledge."""

    async def run() -> None:
        with folder() as place:
            plane, envoys, stopped = ControlPlane(place), Proxies(), {DB.name}
            plane.desired.set(DesiredState((WEB, DB)))
            plane.published.set(published({"one": (endpoints("x", "1"),)}, {"web": "one", "db": "one"}, change=1))
            async with plane.running() as server, relay(place) as node:
                node.watch(envoys, stopped.__contains__)
                envoys.set(WEB.name)
                envoys.set(DB.name)
                await until(lambda: set(server.live(1).values()) == {Live.LIVE})
                assert not server.progress()[DB.name].stopped, "it has acknowledged everything"
                envoys.set(WEB.name, synced=False)
                envoys.set(DB.name, synced=False)
                plane.published.set(published({"one": (endpoints("x", "2"),)}, {"web": "one", "db": "one"}, change=2))
                await until(lambda: server.progress()[DB.name].stopped)
                assert not server.progress()[WEB.name].stopped
                assert server.live(2)[DB.name] is Live.WAITING
                envoys.set(DB.name)
                await until(lambda: server.live(2)[DB.name] is Live.LIVE)
                assert not server.progress()[DB.name].stopped

    uvloop.run(run())
