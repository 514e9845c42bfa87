"""Our server feeds a real Envoy over a unix socket."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from meshwright.asynctools.latest import Latest
from meshwright.ca import certificates
from meshwright.ca.authority import Authority, LeafCertificate
from meshwright.model.config import SecretContent
from meshwright.model.meta import Meta
from meshwright.model.names import CLUSTER, LISTENER, ProxyName, ResourceName
from meshwright.model.origin import ObjectRef
from meshwright.model.published import Published
from meshwright.model.workload import Identity
from meshwright.xds.server import XdsServer
from meshwright.xds.session import Complaint, Timing
from tests.ca.signing import issue, leaf_below, leaves_of, renewed
from tests.xds.envoys import envoy, folder, free_port, get, until
from tests.xds.mesh import (
    CLASS,
    PROXY,
    cluster,
    direct,
    endpoints,
    listener,
    mutual_tls,
    published,
    resource,
    resources,
    routed,
    simple_tls,
)

QUICK = Timing(removal=0.2)
WEB = Identity("cluster.local", "default", "web")


def acknowledged(server: XdsServer) -> Mapping[str, set[str]]:
    status = server.status_of(PROXY)
    return {url.rpartition(".")[2]: set(map(str, names)) for url, names in status.acknowledged.items()}


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
                    assert server.status_of(PROXY).node_id.startswith("sidecar~")
                    assert acknowledged(server) == {
                        "Cluster": {"inner"}, "ClusterLoadAssignment": {"inner"}, "Listener": {"front", "back"},
                        "RouteConfiguration": {"front", "back"},
                    }  # fmt: skip

    uvloop.run(run())


def test_an_empty_mesh_makes_nobody_wait() -> None:
    async def run() -> None:
        with folder() as place:
            async with XdsServer(Latest(published()), timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds") as proxy:
                    assert await server.synced(PROXY, 10)
                    await until(lambda: proxy.admin("/ready"), "LIVE\n", 10)

    uvloop.run(run())


def test_changed_and_added_clusters_are_warm_at_once_and_removed_ones_leave_after_the_routes() -> None:
    async def run() -> None:
        front, one, two = free_port(), free_port(), free_port()
        backs = (listener("one", one, "one"), direct("one", "1"), listener("two", two, "two"), direct("two", "2"))
        first = (listener("front", front, "front"), routed("front", "a"), cluster("a"), endpoints("a", one), *backs)
        changed = (
            listener("front", front, "front"), routed("front", "a"), cluster("a", "3s"), endpoints("a", one), *backs,
        )  # fmt: skip
        moved = (
            listener("front", front, "front"), routed("front", "b"), cluster("b"), endpoints("b", two), *backs,
        )  # fmt: skip
        with folder() as place:
            news = Latest(published(*first))
            async with XdsServer(news, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds") as proxy:
                    assert await server.synced(PROXY, 30)
                    news.set(published(*changed))
                    # Envoy would warm for 15 s if the endpoints did not come again
                    assert await server.synced(PROXY, 10)
                    assert await get(front) == (200, "1")
                    assert await proxy.stat("cluster_manager.cluster_modified") == 1
                    news.set(published(*moved))
                    assert await server.synced(PROXY, 10)
                    assert await get(front) == (200, "2")
                    await until(lambda: proxy.stat("cluster_manager.cluster_removed"), 1)

    uvloop.run(run())


def test_no_request_fails_while_routes_move_between_clusters_that_come_and_go() -> None:
    async def run() -> None:
        front, back = free_port(), free_port()
        fixed = (listener("front", front, "front"), listener("back", back, "back"), direct("back", "ok"))

        def mesh(number: int) -> Published:
            name = f"v{number}"
            return published(*fixed, routed("front", name), cluster(name), endpoints(name, back))

        with folder() as place:
            news = Latest(mesh(0))
            async with XdsServer(news, timing=Timing(removal=0.1)) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds"):
                    assert await server.synced(PROXY, 30)
                    answers: list[tuple[int, str]] = []
                    async with asyncio.TaskGroup() as tasks:

                        async def load() -> None:
                            while True:
                                answers.append(await get(front))

                        loads = [tasks.create_task(load()) for _ in range(2)]
                        for number in range(1, 25):
                            news.set(mesh(number))
                            await asyncio.sleep(0.05)
                        assert await server.synced(PROXY, 30)
                        for task in loads:
                            task.cancel()
                    assert len(answers) > 20
                    assert set(answers) == {(200, "ok")}

    uvloop.run(run())


def test_a_refused_listener_and_cluster_leave_the_others_alone() -> None:
    async def run() -> None:
        good, other = free_port(), free_port()
        twice: dict[str, object] = {"filter_chain_match": {"destination_port": 1}, "filters": []}
        bad_listener = resource(
            LISTENER,
            "bad",
            {
                "name": "bad",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": free_port()}},
                "filter_chains": [{**twice, "name": "a"}, {**twice, "name": "b"}],
            },
        )
        items = (listener("good", good, "good"), direct("good", "ok"), cluster("fine"), endpoints("fine", good))
        bad_cluster = cluster("broken", "0s")  # against a field rule: Envoy takes nothing of the response
        heard: list[Complaint] = []
        with folder() as place:
            news = Latest(published(*items, bad_listener, bad_cluster))
            async with XdsServer(news, complain=heard.append, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds") as proxy:
                    assert await server.synced(PROXY, 30)
                    assert await get(good) == (200, "ok")
                    assert {(c.type_url, c.resource_name) for c in heard} == {(CLUSTER, "broken"), (LISTENER, "bad")}
                    assert set(server.status_of(PROXY).refused) == {(CLUSTER, "broken"), (LISTENER, "bad")}
                    assert await proxy.stat("cluster.fine.membership_total") == 1
                    # the refused ones stand in nobody's way
                    news.set(published(*items, bad_listener, bad_cluster, listener("more", other, "good")))
                    assert await server.synced(PROXY, 30)
                    assert await get(other) == (200, "ok")
                    assert len(heard) == 2

    uvloop.run(run())


def test_a_refused_change_leaves_the_last_good_version() -> None:
    async def run() -> None:
        front, back = free_port(), free_port()
        base = (
            listener("front", front, "front"), routed("front", "a"), endpoints("a", back),
            listener("back", back, "back"), direct("back", "ok"),
        )  # fmt: skip
        with folder() as place:
            news = Latest(published(*base, cluster("a")))
            async with XdsServer(news, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds"):
                    assert await server.synced(PROXY, 30)
                    news.set(published(*base, cluster("a", "0s"), cluster("b"), endpoints("b", back)))
                    assert await server.synced(PROXY, 30)
                    assert await get(front) == (200, "ok")
                    status = server.status_of(PROXY)
                    assert status.refused.keys() == {(CLUSTER, ResourceName("a"))}
                    assert status.acknowledged[CLUSTER].keys() == {"a", "b"}
                    news.set(published(*base, cluster("a", "2s"), cluster("b"), endpoints("b", back)))
                    assert await server.synced(PROXY, 30)
                    assert not server.status_of(PROXY).refused

    uvloop.run(run())


def test_the_server_goes_and_comes_back_while_envoy_serves() -> None:
    async def run() -> None:
        port, gone = free_port(), free_port()
        before = published(
            listener("l", port, "r"), direct("r", "1"), listener("old", gone, "r"), cluster("c"), endpoints("c", port)
        )
        same = published(listener("l", port, "r"), direct("r", "1"), cluster("c"), endpoints("c", port))
        with folder() as place:
            async with XdsServer(Latest(before), timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                context = envoy(place / "xds")
                proxy = await context.__aenter__()
                assert await server.synced(PROXY, 30)
            try:
                assert not (place / "xds").exists()
                assert await get(port) == (200, "1")
                updates = await proxy.stat("cluster.c.update_success")
                async with XdsServer(Latest(same), timing=QUICK) as server:
                    await server.add(PROXY, place / "xds")
                    assert await server.synced(PROXY, 50)
                    # what it has is not sent again; what went meanwhile goes
                    assert await proxy.stat("cluster.c.update_success") == updates
                    assert await proxy.stat("listener_manager.listener_removed") == 1
                    assert await get(port) == (200, "1")
            finally:
                await context.__aexit__(None, None, None)

    uvloop.run(run())


def client_context(roots: bytes, client: bytes | None, place: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=roots.decode())
    if client is not None:
        (place / "client.pem").write_bytes(client)
        context.load_cert_chain(place / "client.pem")
    return context


def served_certificate(port: int, context: ssl.SSLContext) -> tuple[bytes, str]:
    """DER and TLS version of what the listener shows; raises OSError when it refuses us."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        if b"secret hello" not in b"".join(iter(lambda: tls.recv(4096), b"")):
            raise ConnectionResetError
        certificate, version = tls.getpeercert(binary_form=True), tls.version()
        assert certificate is not None
        assert version is not None
        return certificate, version


def test_mutual_tls_by_sds_and_a_rotation_that_drops_nothing() -> None:
    async def run() -> None:
        port, now = free_port(), datetime.now(UTC) - timedelta(hours=13)
        clock = [now]
        with folder() as place:
            authority = Authority.open(place / "ca", "cluster.local", now)
            store = leaves_of(authority, place / "leaves", lambda: clock[0])
            await store.add(PROXY, WEB)
            caller = issue(authority, Identity("cluster.local", "default", "caller"), now)
            stranger = issue(Authority.open(place / "other", "cluster.local", now), WEB, now)
            items = (listener("tls", port, "r", **mutual_tls()), direct("r", "secret hello"))
            async with XdsServer(Latest(published(*items)), store, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds") as proxy:
                    assert await server.synced(PROXY, 30)
                    await until(lambda: proxy.stat("listener_manager.total_listeners_active"), 1)

                    def context(leaf: LeafCertificate | None) -> ssl.SSLContext:
                        client = leaf and leaf.key_pem + leaf.chain_pem
                        return client_context(authority.roots_pem, client, place)

                    good = context(caller)
                    first, version = await asyncio.to_thread(served_certificate, port, good)
                    assert version == "TLSv1.3"
                    names = x509.load_der_x509_certificate(first).extensions.get_extension_for_class(
                        x509.SubjectAlternativeName
                    )
                    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [WEB.uri]
                    for refused in (None, stranger):
                        try:
                            await asyncio.to_thread(served_certificate, port, context(refused))
                        except OSError:
                            continue
                        raise AssertionError("a client without a certificate of the mesh was served")

                    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=good)
                    clock[0] += timedelta(hours=13)  # half of the leaf's life is over, and it still holds
                    await renewed(store, PROXY)
                    assert await server.synced(PROXY, 30)
                    while (await asyncio.to_thread(served_certificate, port, good))[0] == first:
                        await asyncio.sleep(0.02)
                    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    assert b"secret hello" in await reader.read()  # the connection of before the rotation lives
                    writer.close()
                    assert await proxy.stat("listener_manager.listener_modified") == 0

    uvloop.run(run())


def test_a_stopped_proxy_delays_only_itself() -> None:
    async def run() -> None:
        port, stuck = free_port(), ProxyName("stuck.default")
        many = [item for n in range(200) for item in (cluster(f"c{n}"), endpoints(f"c{n}", port))]
        with folder() as place:
            both = (PROXY, stuck)
            news = Latest(published(listener("l", port, "r"), direct("r", "0"), *many, proxies=both))
            async with XdsServer(news, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                await server.add(stuck, place / "stuck")
                silent = socket.socket(socket.AF_UNIX)
                silent.connect(str(place / "stuck"))  # a proxy that asks for everything and reads nothing
                silent.sendall(_greedy_client())
                async with envoy(place / "xds"):
                    assert await server.synced(PROXY, 30)
                    for number in range(1, 11):
                        changed = [cluster(f"c{n}", f"{number + 1}s") for n in range(200)]
                        news.set(published(listener("l", port, "r"), direct("r", str(number)), *many, *changed,
                                           proxies=both))  # fmt: skip
                        assert await server.synced(PROXY, 30)
                    assert await get(port) == (200, "10")
                    assert not server.status_of(stuck).synced
                silent.close()

    uvloop.run(run())


def _greedy_client() -> bytes:
    import h2.connection

    from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
    from meshwright.xds.grpc import prefix
    from meshwright.xds.server import ADS_PATH

    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.increment_flow_control_window(1 << 24)
    headers = [(":method", "POST"), (":scheme", "http"), (":path", ADS_PATH), (":authority", "x"),
               ("content-type", "application/grpc")]  # fmt: skip
    client.send_headers(1, headers)
    for url in (CLUSTER, LISTENER):
        body = DeltaDiscoveryRequest(type_url=url).SerializeToString()
        client.send_data(1, prefix(len(body)) + body)
    return client.data_to_send()


def test_an_envoy_that_is_stopped_delays_no_other_and_catches_up() -> None:
    async def run() -> None:
        one, two, other = free_port(), free_port(), ProxyName("other.default")

        def mesh(number: int) -> Published:
            items = (direct("one", str(number)), direct("two", str(number)))
            mine, theirs = listener("one", one, "one"), listener("two", two, "two")
            theirs_class = replace(CLASS, address="theirs")
            return Published(
                {PROXY: CLASS, other: theirs_class},
                {CLASS: resources(mine, items[0]), theirs_class: resources(theirs, items[1])},
                {},
            )

        with folder() as place:
            news = Latest(mesh(0))
            async with XdsServer(news, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                await server.add(other, place / "other")
                async with envoy(place / "xds"), envoy(place / "other", name=other) as stuck:
                    assert await server.synced((PROXY, other), 30)
                    stuck.process.send_signal(signal.SIGSTOP)
                    try:
                        for number in range(1, 30):
                            news.set(mesh(number))
                            assert await server.synced(PROXY, 30)
                        assert await get(one) == (200, "29")
                        assert not server.status_of(other).synced
                    finally:
                        stuck.process.send_signal(signal.SIGCONT)
                    assert await server.synced(other, 30)
                    assert await get(two) == (200, "29")

    uvloop.run(run())


def test_gateway_credentials_come_over_ads_and_broken_ones_accept_nobody() -> None:
    async def run() -> None:
        good, bad, now = free_port(), free_port(), datetime.now(UTC)
        root = certificates.new_root("example.com", now)
        issuer = certificates.new_issuer(root, "example.com", now)
        shop = leaf_below(issuer, "spiffe://shop.example.com", now, timedelta(days=1))

        def secret(name: str, chain: bytes, key: bytes) -> SecretContent:
            return SecretContent(Meta(ObjectRef("Secret", "default", name)), (("tls.crt", chain), ("tls.key", key)))

        with folder() as place:
            authority = Authority.open(place / "ca", "cluster.local", now)
            store = leaves_of(authority, place / "leaves", lambda: now)
            await store.add(PROXY, WEB, is_gateway=True)
            broken = secret("broken", shop.chain_pem, certificates.new_root("other", now).key_pem)
            assert len(store.set_credentials((secret("shop", shop.chain_pem, shop.key_pem), broken))) == 1
            items = (
                listener("good", good, "r", **simple_tls("kubernetes://shop")),
                listener("bad", bad, "r", **simple_tls("kubernetes://broken")),
                direct("r", "secret hello"),
            )
            async with XdsServer(Latest(published(*items)), store, timing=QUICK) as server:
                await server.add(PROXY, place / "xds")
                async with envoy(place / "xds"):
                    assert await server.synced(PROXY, 30)
                    context = client_context(root.chain_pem, None, place)
                    shown, _ = await asyncio.to_thread(served_certificate, good, context)
                    assert shown == x509.load_pem_x509_certificate(shop.chain_pem).public_bytes(Encoding.DER)
                    try:
                        await asyncio.to_thread(served_certificate, bad, context)
                    except OSError:
                        pass
                    else:
                        raise AssertionError("a broken credential was served")
                    # mended without a restart
                    store.set_credentials((secret("broken", shop.chain_pem, shop.key_pem),))
                    async with asyncio.timeout(30):
                        while True:
                            try:
                                await asyncio.to_thread(served_certificate, bad, context)
                                break
                            except OSError:
                                await asyncio.sleep(0.05)

    uvloop.run(run())
