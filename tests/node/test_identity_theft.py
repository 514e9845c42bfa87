"""Somebody wants to be somebody else: each attempt is refused, and the log says who, what and why, without secrets.

Here the parts are put together in one process. The same on a real mesh, from inside of pods, is in
tests/slow/test_identity_theft.py; requests for certificates are in test_signing.py, tokens of the object API in
tests/apiserver/test_tokens.py.
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from meshwright.agent.proxy_access import is_in_namespace
from meshwright.asynctools.latest import Latest
from meshwright.ca import certificates, requests
from meshwright.ca.authority import Authority
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.model.config import SecretContent
from meshwright.model.meta import Meta
from meshwright.model.names import CLUSTER, SECRET, ProxyName
from meshwright.model.origin import ObjectRef
from meshwright.model.planned_pod import DesiredState
from meshwright.model.published import Published
from meshwright.model.workload import Identity
from meshwright.node.relay import Relay, SigningRefusedError, TcpAddress
from meshwright.xds.server import ADS_PATH, SDS_PATH, XdsServer
from tests.ca.signing import is_recognised, issue, leaf_below, leaves_of
from tests.node.mesh import ControlPlane, pod, relay, status, until
from tests.xds.asking import ask
from tests.xds.envoys import folder

VICTIM, THIEF, GATEWAY = ProxyName("victim.shop"), ProxyName("thief.default"), ProxyName("gateway.istio-system")
OTHERS_CREDENTIAL, OWN_CREDENTIAL = "kubernetes://shop-tls", "kubernetes://gateway-tls"
NOW, DAY = datetime.now(UTC), timedelta(days=1)


def said(caplog: pytest.LogCaptureFixture, *words: str) -> bool:
    """Whether one line of the log has all of these words."""
    return any(all(word in each.getMessage() for word in words) for each in caplog.records)


def no_key_in(caplog: pytest.LogCaptureFixture) -> None:
    assert "PRIVATE" not in caplog.text
    assert "BEGIN CERT" not in caplog.text


def credential(name: str, namespace: str) -> SecretContent:
    root = certificates.new_root("example.com", NOW)
    made = certificates.new_server(certificates.new_issuer(root, "example.com", NOW), ["example.com"], NOW, DAY)
    return SecretContent(
        Meta(ObjectRef("Secret", namespace, name)), (("tls.crt", made.chain_pem), ("tls.key", made.key_pem))
    )


@asynccontextmanager
async def mesh(place: Path) -> AsyncGenerator[XdsServer]:
    """A sidecar that steals, one that is stolen from, and a gateway; two namespaces have credentials."""
    store = leaves_of(Authority.open(place / "ca", "cluster.local", NOW), place / "leaves")
    await store.add(VICTIM, Identity("cluster.local", "shop", "victim"))
    await store.add(THIEF, Identity("cluster.local", "default", "thief"))
    await store.add(GATEWAY, Identity("cluster.local", "istio-system", "gateway"), is_gateway=True)
    store.set_credentials((credential("shop-tls", "shop"), credential("gateway-tls", "istio-system")))
    async with XdsServer(Latest(Published({}, {}, {})), store) as server:
        for proxy in (VICTIM, THIEF, GATEWAY):
            await server.add(proxy, place / proxy)
        yield server


# ---------------------------------------------------------------- xDS and SDS


@pytest.mark.parametrize(("path", "url"), [(SDS_PATH, SECRET), (ADS_PATH, CLUSTER)], ids=["sds", "ads"])
def test_a_forged_node_is_turned_away(caplog: pytest.LogCaptureFixture, path: str, url: str) -> None:
    request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=["default"])
    request.node.id = f"sidecar~10.0.0.9~{VICTIM}~shop.svc.cluster.local"
    request.node.metadata.update({"NAMESPACE": "shop", "SERVICE_ACCOUNT": "victim"})

    async def run() -> None:
        with folder() as place:
            async with mesh(place):
                outcome, _ = await asyncio.to_thread(ask, place / THIEF, path, request)
                assert outcome == "PERMISSION_DENIED"
        assert said(caplog, f"who speaks for {THIEF}", f"~{VICTIM}~", "turned away")
        no_key_in(caplog)

    with caplog.at_level(logging.INFO):
        uvloop.run(run())


@pytest.mark.parametrize(
    ("asker", "name"),
    [(GATEWAY, OTHERS_CREDENTIAL), (VICTIM, OTHERS_CREDENTIAL), (THIEF, OTHERS_CREDENTIAL), (THIEF, OWN_CREDENTIAL)],
    ids=["another-namespace", "no-gateway", "neither", "a-gateway-elsewhere"],
)
def test_a_secret_that_is_not_the_askers_is_not_served(
    caplog: pytest.LogCaptureFixture, asker: ProxyName, name: str
) -> None:
    async def run() -> None:
        with folder() as place:
            async with mesh(place):
                shown = await secrets(place / asker, name, "default")
                assert [each.name for each in shown.resources] == ["default"]
                assert list(shown.removed_resources) == [name]
        assert said(caplog, f"{asker} asks for the secret {name!r}", "does not have")
        no_key_in(caplog)

    with caplog.at_level(logging.INFO):
        uvloop.run(run())


def test_who_asks_for_everything_gets_their_own_and_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with folder() as place:
            async with mesh(place):
                guesses = (f"kubernetes://guess-{number}" for number in range(2_000))
                shown = await secrets(place / GATEWAY, OWN_CREDENTIAL, "default", *guesses)
                assert sorted(each.name for each in shown.resources) == ["default", OWN_CREDENTIAL]
        assert len(caplog.records) < 40

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


async def secrets(path: Path, *names: str) -> DeltaDiscoveryResponse:
    """What an honest SDS stream gets that asks for these."""
    request = DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=names)
    outcome, shown = await asyncio.to_thread(ask, path, SDS_PATH, request)
    assert outcome == "OK"
    return shown


def test_a_process_of_another_network_namespace_is_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with folder() as place:
            async with mesh(place) as server:
                await server.remove(VICTIM)
                path = place / VICTIM
                await server.add(VICTIM, path, mode=0o666, authorize=lambda peer: is_in_namespace(peer, 1))
                reader, writer = await asyncio.open_unix_connection(path)
                async with asyncio.timeout(20):
                    assert await reader.read() == b"", "not even the settings of HTTP/2"
                writer.close()
        assert said(caplog, f"process {os.getpid()} (uid {os.geteuid()}) may not speak for {VICTIM}")

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


# ---------------------------------------------------------------- the node stream


def test_a_process_of_another_user_is_no_node(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with folder() as place:
            plane = ControlPlane(place)
            async with plane.running() as server:
                path = place / "strict"
                await server.add("strict", Latest(DesiredState()), path=path, uids=frozenset({os.geteuid() + 1}))
                assert path.stat().st_mode & 0o777 == 0o600
                reader, writer = await asyncio.open_unix_connection(path)
                async with asyncio.timeout(20):
                    assert await reader.read() == b""
                writer.close()
                assert not server.nodes()["strict"].connected
        assert said(caplog, f"process {os.getpid()} (uid {os.geteuid()}) may not speak for a node")

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


def node_of(certificate: Mapping[str, Any]) -> str | None:
    start = "spiffe://cluster.local/ns/nodes/sa/"
    names = [str(value) for kind, value in certificate["subjectAltName"] if kind == "URI"]
    return next((each.removeprefix(start) for each in names if each.startswith(start)), None)


def client_context(place: Path, authority: Authority | None, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place / "root.pem")
    context.check_hostname = False
    if authority is not None and identity is not None:
        leaf = issue(authority, identity, NOW)
        (place / "client.pem").write_bytes(leaf.key_pem + leaf.chain_pem)
        context.load_cert_chain(place / "client.pem")
    return context


Dress = Callable[[Path, Authority, Authority], ssl.SSLContext]
STRANGERS: dict[str, tuple[Dress, str]] = {
    "no certificate": (lambda place, _ours, _theirs: client_context(place, None, None), "PEER_DID_NOT_RETURN"),
    "another authority": (
        lambda place, _ours, theirs: client_context(place, theirs, Identity("cluster.local", "nodes", "far")),
        "CERTIFICATE_VERIFY_FAILED",
    ),
    "a workload": (
        lambda place, ours, _theirs: client_context(place, ours, Identity("cluster.local", "default", "far")),
        "is no node of this mesh: its certificate is of ['spiffe://cluster.local/ns/default/sa/far']",
    ),
    "another node": (
        lambda place, ours, _theirs: client_context(place, ours, Identity("cluster.local", "nodes", "unknown")),
        "is no node of this mesh: its certificate is of ['spiffe://cluster.local/ns/nodes/sa/unknown']",
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_over_tcp_only_the_certificate_of_a_node_is_one(caplog: pytest.LogCaptureFixture, stranger: str) -> None:
    async def run() -> None:
        with folder() as place:
            ours = Authority.open(place / "ca", "cluster.local", NOW)
            theirs = Authority.open(place / "theirs", "cluster.local", NOW)
            (place / "root.pem").write_bytes(ours.roots_pem)
            chain, key = ours.issue_server(["127.0.0.1"], NOW)
            (place / "server.pem").write_bytes(key + chain)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / "root.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(place / "server.pem")
            plane = ControlPlane(place)
            async with plane.running() as server:
                await server.add("far", Latest(DesiredState((pod("web"),))))
                port = await server.listen("127.0.0.1", 0, context, node_of)
                dress, why = STRANGERS[stranger]
                async with Relay(TcpAddress("127.0.0.1", port, dress(place, ours, theirs)), place / "none") as other:
                    await until(lambda: said(caplog, why))
                    assert other.desired.value == DesiredState()
                    assert not server.nodes()["far"].connected
        no_key_in(caplog)

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


def test_a_node_cannot_speak_for_the_pods_of_another(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        victim = pod("victim")
        with folder() as place:
            plane = ControlPlane(place)
            async with plane.running() as server, relay(place) as thief:
                await server.add("another", Latest(DesiredState((victim,))))
                await thief.loaded()
                thief.report({victim.name: status()})
                await server.reported("local")
                assert victim.name not in server.statuses.value
                await thief.drained(victim.name)
        assert said(caplog, "node local reports about pods of other nodes")
        assert said(caplog, "node local drains a pod of another node", victim.name)

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


def test_what_strangers_write_stays_on_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        own, lines = pod("web"), "spiffe://cluster.local/x\nnode far gets everything"
        with folder() as place:
            authority = Authority.open(place / "ca", "cluster.local", NOW)
            plane = ControlPlane(place)
            plane.sign = lambda identity, csr: authority.sign(csr, identity, NOW)
            plane.desired.set(DesiredState((own,)))
            async with plane.running(), relay(place) as thief:
                for name, uri in (
                    (ProxyName("ghost\nnode far gets everything"), own.identity.uri),
                    (own.name, lines),
                ):
                    with pytest.raises(SigningRefusedError):
                        await thief.sign(name, requests.new_request(uri)[0])
        assert said(caplog, "gets no certificate for 'ghost\\nnode")
        assert said(caplog, "gets no certificate for 'web.default'", "cluster.local/x\\nnode")
        assert not [each for each in caplog.records if "\n" in each.getMessage()]

    with caplog.at_level(logging.WARNING):
        uvloop.run(run())


# ---------------------------------------------------------------- certificates


def test_a_stolen_certificate_without_its_key_is_worth_nothing() -> None:
    """Chains are public: they are shown in every handshake."""
    with folder() as place:
        authority = Authority.open(place / "ca", "cluster.local", NOW)
        victim = Identity("cluster.local", "shop", "victim")
        theirs, mine = issue(authority, victim, NOW), issue(authority, Identity("cluster.local", "default", "x"), NOW)
        assert not is_recognised(authority, victim, theirs.chain_pem, mine.key_pem)
        (place / "stolen").write_bytes(mine.key_pem + theirs.chain_pem)
        with pytest.raises(ssl.SSLError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(place / "stolen")


def test_a_leaf_signs_nobody() -> None:
    """A workload that makes a certificate below its own is not believed."""
    with folder() as place:
        authority = Authority.open(place / "ca", "cluster.local", NOW)
        own = issue(authority, Identity("cluster.local", "default", "thief"), NOW)
        victim = Identity("cluster.local", "shop", "victim")
        forged = leaf_below(certificates.Pair(own.chain_pem, own.key_pem), victim.uri, NOW, DAY)
        assert not is_recognised(authority, victim, forged.chain_pem, forged.key_pem)
        (place / "root.pem").write_bytes(authority.roots_pem)
        (place / "forged").write_bytes(forged.key_pem + forged.chain_pem)
        with pytest.raises(ssl.SSLError, match="certificate verify failed"):
            handshake(place)


def handshake(place: Path) -> None:
    """A client with the forged chain and a server that trusts the root, in memory. Raises SSLError."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / "root.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(place / "forged")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.load_cert_chain(place / "forged")
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    one, two = server.wrap_bio(a_in, a_out, server_side=True), client.wrap_bio(b_in, b_out)
    for _ in range(10):
        for side in (two, one):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            b_in.write(a_out.read())
            a_in.write(b_out.read())
