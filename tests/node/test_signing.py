"""Certificates are signed for the identity of a pod that is planned on the node, and for nothing else."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from meshwright.asynctools.latest import Latest
from meshwright.ca import certificates, requests
from meshwright.ca.authority import Authority, recognise
from meshwright.ca.requested_leaves import RequestedLeaves
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState
from meshwright.model.workload import Identity
from meshwright.node.relay import SigningRefusedError
from tests.node.mesh import ControlPlane, pod, relay, until
from tests.xds.envoys import folder

WEB, OTHER, PLAIN = pod("web"), pod("other"), pod("plain", role=None)
NOW = datetime.now(UTC)


def clock() -> datetime:
    return datetime.now(UTC)


def signing_plane(place: Path, lifetime: timedelta = timedelta(hours=1)) -> tuple[ControlPlane, Authority]:
    authority = Authority.open(place / "ca", "cluster.local", NOW)
    plane = ControlPlane(place)
    plane.roots = Latest(authority.roots_pem)
    plane.sign = lambda identity, csr: authority.sign(csr, identity, clock(), lifetime)
    plane.desired.set(DesiredState((WEB, PLAIN)))
    return plane, authority


def test_a_planned_pod_gets_its_certificate_and_the_key_stays() -> None:
    async def run() -> None:
        with folder() as place:
            plane, authority = signing_plane(place)
            seen: list[bytes] = []
            plain_sign = plane.sign

            def sign(identity: Identity, csr: bytes) -> bytes:
                seen.append(csr)
                return plain_sign(identity, csr)

            plane.sign = sign
            async with plane.running(), relay(place) as node:
                leaves = RequestedLeaves(node, place / "leaves", clock)
                leaf = await leaves.add(WEB.name, WEB.identity)
                assert recognise(authority.roots_pem, WEB.identity, leaf.chain_pem, leaf.key_pem) == leaf
                assert set(leaves.secrets_of(WEB.name)) == {"default", "ROOTCA"}
                assert b"PRIVATE" not in b"".join(seen)
                await until((place / "node-cache" / "state").exists)
            for kept in (place / "node-cache").iterdir():
                assert b"PRIVATE" not in kept.read_bytes()
                assert kept.stat().st_mode & 0o777 == 0o600
            assert (place / "leaves" / "web.default.pem").stat().st_mode & 0o777 == 0o600
            # nobody signs any more: the same certificate is used
            async with relay(place) as node:
                again = RequestedLeaves(node, place / "leaves", clock)
                assert await again.add(WEB.name, WEB.identity) == leaf

    uvloop.run(run())


def request_by(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, *uris: str) -> bytes:
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def forged() -> bytes:
    """A request whose signature is not by its key."""
    good = x509.load_pem_x509_csr(requests.new_request(WEB.identity.uri)[0])
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


REFUSED: tuple[tuple[str, ProxyName, Callable[[], bytes], str], ...] = (
    ("a pod of nobody", ProxyName("ghost.default"), lambda: request_by(ec_key(), OTHER.identity.uri), "not planned"),
    ("a pod of another node", OTHER.name, lambda: request_by(ec_key(), OTHER.identity.uri), "not planned"),
    ("a pod without a proxy", PLAIN.name, lambda: request_by(ec_key(), PLAIN.identity.uri), "no proxy"),
    ("another identity", WEB.name, lambda: request_by(ec_key(), OTHER.identity.uri), "the pod is"),
    ("a second identity", WEB.name, lambda: request_by(ec_key(), WEB.identity.uri, OTHER.identity.uri), "the pod is"),
    ("another trust domain", WEB.name, lambda: request_by(ec_key(), "spiffe://x/ns/default/sa/web"), "the pod is"),
    ("no identity", WEB.name, lambda: request_by(ec_key()), "no identity"),
    ("a short key", WEB.name, lambda: request_by(rsa.generate_private_key(65537, 1024), WEB.identity.uri), "1024"),
    (
        "a strange key",
        WEB.name,
        lambda: request_by(ed25519.Ed25519PrivateKey.generate(), WEB.identity.uri),
        "neither",
    ),
    ("a foreign signature", WEB.name, forged, "own key"),
    ("rubbish", WEB.name, lambda: b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "read"),
    ("very much", WEB.name, lambda: b"x" * 100_000, "100000"),
)


def test_everything_else_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with folder() as place:
            plane, _ = signing_plane(place)
            async with plane.running() as server, relay(place) as node:
                await server.add("another", Latest(DesiredState((OTHER,))))
                for what, proxy, make, reason in REFUSED:
                    caplog.clear()
                    with caplog.at_level(logging.WARNING):
                        with pytest.raises(SigningRefusedError, match=reason):
                            await node.sign(proxy, make())
                        assert any(proxy in each.getMessage() for each in caplog.records), what
                assert await node.sign(WEB.name, requests.new_request(WEB.identity.uri)[0])

    uvloop.run(run())


def test_a_pod_that_leaves_gets_nothing_more() -> None:
    async def run() -> None:
        with folder() as place:
            plane, _ = signing_plane(place)
            async with plane.running(), relay(place) as node:
                assert await node.sign(WEB.name, requests.new_request(WEB.identity.uri)[0])
                plane.desired.set(DesiredState())
                with pytest.raises(SigningRefusedError):
                    await node.sign(WEB.name, requests.new_request(WEB.identity.uri)[0])

    uvloop.run(run())


def test_renewal_at_half_life_and_through_an_outage() -> None:
    async def run() -> None:
        with folder() as place:
            plane, _ = signing_plane(place, timedelta(seconds=8))
            async with relay(place) as node:
                leaves = RequestedLeaves(node, place / "leaves", clock)
                async with asyncio.TaskGroup() as tasks:
                    adding = tasks.create_task(leaves.add(WEB.name, WEB.identity))
                    renewing = tasks.create_task(leaves.run())
                    async with plane.running():
                        first = await adding  # waited for the control plane to come
                        await until(lambda: leaves.leaf_of(WEB.name) not in {None, first})
                    kept = leaves.leaf_of(WEB.name)
                    assert kept is not None
                    # the control plane is away longer than half of a life, and then renewal goes on
                    while clock() < kept.not_before + (kept.not_after - kept.not_before) / 2:
                        await asyncio.sleep(0.05)
                    assert leaves.leaf_of(WEB.name) == kept
                    async with plane.running():
                        await until(lambda: leaves.leaf_of(WEB.name) != kept)
                        newest = leaves.leaf_of(WEB.name)
                        assert newest is not None
                        assert newest.key_pem != kept.key_pem
                    renewing.cancel()
                on_disk = (place / "leaves" / "web.default.pem").read_bytes()
                assert certificates.validity(on_disk)[1] == newest.not_after

    uvloop.run(run())


def test_a_full_disk_ends_no_certificate(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        del content
        raise OSError(28, "No space left on device", str(path))

    async def run() -> None:
        with folder() as place:
            plane, _ = signing_plane(place, timedelta(seconds=4))
            async with plane.running(), relay(place) as node:
                leaves = RequestedLeaves(node, place / "leaves", clock)
                monkeypatch.setattr("meshwright.ca.files.write", full)
                first = await leaves.add(WEB.name, WEB.identity)
                async with asyncio.TaskGroup() as tasks:
                    renewing = tasks.create_task(leaves.run())
                    await until(lambda: leaves.leaf_of(WEB.name) not in {None, first})
                    renewing.cancel()
        assert "web.default is not kept on disk" in caplog.text

    with caplog.at_level(logging.ERROR):
        uvloop.run(run())
