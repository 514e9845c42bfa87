"""Two hundred simulated proxies on real sockets: equal ones get equal bytes, and each ends with all it should."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from meshwright.asynctools.latest import Latest
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, ResourceName, TypeUrl
from meshwright.model.published import Published
from meshwright.xds.grpc_client import GrpcClient
from meshwright.xds.server import ADS_PATH, XdsServer
from meshwright.xds.session import Complaint, Timing
from tests.xds.envoys import folder
from tests.xds.mesh import CLASS, cluster, direct, endpoints, listener, resources

PROXIES = 200
CLASSES = tuple(replace(CLASS, address=f"10.0.0.{number}") for number in range(3))
NAMES = tuple(ProxyName(f"web-{number}.default") for number in range(PROXIES))
SERVICES = 20
ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)


@dataclass(eq=False)
class Simulated:
    """The call of one proxy: asks in Envoy's order, acknowledges everything but what it `refuses`."""

    number: int
    more: bool = True
    refuses: bytes = b"\xff"
    held: dict[TypeUrl, dict[str, str]] = field(default_factory=lambda: {url: {} for url in ORDER})
    got: list[bytes] = field(default_factory=list[bytes])
    asked: set[TypeUrl] = field(default_factory=set[TypeUrl])
    client: GrpcClient | None = None
    out: deque[DeltaDiscoveryRequest] = field(default_factory=deque[DeltaDiscoveryRequest])

    def connect(self) -> GrpcClient:
        """A new stream, with what is held from the one before."""
        self.asked, self.out = set(), deque()
        self.ask(CLUSTER)
        self.out[0].node.id = f"sidecar~10.0.0.1~{NAMES[self.number]}~cluster.local"
        for url in ORDER[1:] if self.held[CLUSTER] else ():
            self.ask(url)
        self.client = GrpcClient(ADS_PATH, self, asyncio.get_running_loop().time)
        return self.client

    def ask(self, url: TypeUrl) -> None:
        if url in self.asked:
            return
        self.asked.add(url)
        names = {ENDPOINTS: [f"s{number}" for number in range(SERVICES)], ROUTES: ["r"]}.get(url, [])
        self.out.append(
            DeltaDiscoveryRequest(
                type_url=url, resource_names_subscribe=names, initial_resource_versions=self.held[url]
            )
        )

    def receive(self, message: bytes, now: float) -> None:
        del now
        self.got.append(message)
        said = DeltaDiscoveryResponse.FromString(message)
        answer = DeltaDiscoveryRequest(type_url=said.type_url, response_nonce=said.nonce)
        self.out.append(answer)
        bad = [each.name for each in said.resources if self.refuses in each.resource.value]
        if bad:
            answer.error_detail.message = f"{bad[0]}: not today"
        held = self.held[TypeUrl(said.type_url)]
        held.update((each.name, each.version) for each in said.resources if each.name not in bad)
        for name in said.removed_resources:
            held.pop(name, None)
        after = ORDER.index(TypeUrl(said.type_url)) + 1
        for url in ORDER[after : after + 1]:
            self.ask(url)

    def next_message(self, now: float) -> bytes | None:
        del now
        return self.out.popleft().SerializeToString() if self.out else None

    def wake_at(self, now: float) -> float | None:
        del now

    def closed(self) -> None:
        self.client = None


def mesh(turn: int, services: int = SERVICES) -> Published:
    """All classes have the same services; listeners and routes are their own."""
    shared = [
        each
        for number in range(services)
        for each in (cluster(f"s{number}"), endpoints(f"s{number}", 8000 + (turn if number == 3 else 0)))
    ]
    classes = {
        name: resources(*shared, listener("l", 9000 + at, "r"), direct("r", f"class {at} turn {turn // 2}"))
        for at, name in enumerate(CLASSES)
    }
    members = {name: CLASSES[number % len(CLASSES)] for number, name in enumerate(NAMES)}
    return Published(members, classes, {})


def versions(state: Published, name: ProxyName) -> dict[TypeUrl, dict[str, str]]:
    found = state.resources_of(name)
    assert found is not None
    return {url: {str(name): str(each.version) for name, each in found[url].items()} for url in ORDER}


@contextlib.asynccontextmanager
async def serving(
    place: Path, news: Latest[Published], heard: list[Complaint]
) -> AsyncGenerator[tuple[XdsServer, list[Simulated]]]:
    proxies = [Simulated(number) for number in range(PROXIES)]
    async with XdsServer(news, complain=heard.append, timing=Timing(removal=0.1)) as server:
        for number, name in enumerate(NAMES):
            await server.add(name, place / str(number))
        for proxy in proxies:
            await connect(place, proxy)
        assert await server.synced(NAMES, 30)
        yield server, proxies
        for proxy in proxies:
            if proxy.client is not None:
                proxy.client.abort()


async def connect(place: Path, proxy: Simulated) -> None:
    await asyncio.get_running_loop().create_unix_connection(proxy.connect, str(place / str(proxy.number)))


def check_equal(proxies: list[Simulated]) -> None:
    """The proxies of each class got the same bytes, and few of them another nonce (those who were much later)."""
    for at in range(len(CLASSES)):
        own = proxies[at :: len(CLASSES)]
        assert len({tuple(map(without_nonce, proxy.got)) for proxy in own}) == 1
        assert len({tuple(proxy.got) for proxy in own}) < len(own) / 2


def without_nonce(message: bytes) -> bytes:
    said = DeltaDiscoveryResponse.FromString(message)
    said.nonce = ""
    return said.SerializeToString()


async def converged(news: Latest[Published], server: XdsServer, proxies: list[Simulated]) -> None:
    """Also what is removed is gone."""
    assert await server.synced(NAMES, 30)
    async with asyncio.timeout(30):
        while any(proxy.held != versions(news.value, NAMES[proxy.number]) for proxy in proxies):
            await asyncio.sleep(0.01)


def test_equal_proxies_get_equal_bytes_and_everything() -> None:
    async def main() -> None:
        with folder() as place:
            news = Latest(mesh(0))
            async with serving(place, news, []) as (server, proxies):
                for turn in range(1, 7):
                    for proxy in proxies:
                        proxy.got.clear()
                    news.set(mesh(turn, SERVICES - turn // 2 % 2))  # endpoints, routes, a service comes and goes
                    await converged(news, server, proxies)
                    check_equal(proxies)
                for name, proxy in zip(NAMES, proxies, strict=True):
                    assert server.status_of(name).acknowledged[ENDPOINTS] == proxy.held[ENDPOINTS]
                    assert server.status_of(name).node_id.split("~")[2] == name

    uvloop.run(main())


def test_who_comes_back_gets_what_differs_and_goes_on_with_the_others() -> None:
    async def main() -> None:
        with folder() as place:
            news = Latest(mesh(0))
            async with serving(place, news, []) as (server, proxies):
                away = proxies[::4]
                for proxy in away:
                    assert proxy.client is not None
                    proxy.client.abort()
                    proxy.got.clear()
                news.set(mesh(1))
                for proxy in away:
                    await connect(place, proxy)
                assert await server.synced(NAMES, 30)
                for proxy in away:
                    assert [len(DeltaDiscoveryResponse.FromString(each).resources) for each in proxy.got] == [1]
                news.set(mesh(2))
                assert await server.synced(NAMES, 30)
                for proxy in proxies:
                    proxy.got.clear()
                news.set(mesh(3))
                assert await server.synced(NAMES, 30)
                check_equal(proxies)

    uvloop.run(main())


def test_what_one_refuses_concerns_only_that_one() -> None:
    async def main() -> None:
        heard: list[Complaint] = []
        with folder() as place:
            news = Latest(mesh(0))
            async with serving(place, news, heard) as (server, proxies):
                before = versions(news.value, NAMES[7])
                proxies[7].refuses = b"turn 1"
                news.set(mesh(2))
                assert await server.synced(NAMES, 30)
                assert [(each.proxy, each.resource_name) for each in heard] == [(NAMES[7], "r")]
                assert proxies[7].held == {**versions(news.value, NAMES[7]), ROUTES: before[ROUTES]}
                assert list(server.status_of(NAMES[7]).refused) == [(ROUTES, ResourceName("r"))]
                others = [name for name in NAMES if name != NAMES[7]]
                assert not any(server.status_of(name).refused for name in others)
                for name in others:
                    assert proxies[NAMES.index(name)].held == versions(news.value, name)
                news.set(mesh(4))
                assert await server.synced(NAMES, 30)
                assert proxies[7].held == versions(news.value, NAMES[7])
                assert not server.status_of(NAMES[7]).refused

    uvloop.run(main())
