"""The authority, the leaves it issues, and what proxies get of them."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from meshwright.ca import certificates
from meshwright.ca.authority import Authority, AuthorityError, renew_at
from meshwright.ca.requested_leaves import RequestedLeaves
from meshwright.ca.requests import RequestError
from meshwright.ca.secrets import credential
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from meshwright.model.config import SecretContent
from meshwright.model.meta import Meta
from meshwright.model.names import ProxyName, ResourceName
from meshwright.model.origin import ObjectRef
from meshwright.model.workload import Identity
from tests.ca.signing import is_recognised, issue, leaf_below, leaves_of, renewed

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
WEB = Identity("cluster.local", "default", "web")
PROXY = ProxyName("web-1.default")
DEFAULT = ResourceName("default")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def secret(name: str, namespace: str = "default", /, **data: bytes) -> SecretContent:
    pairs = tuple((key.replace("_", "."), value) for key, value in data.items())
    return SecretContent(Meta(ObjectRef("Secret", namespace, name)), pairs)


def pair() -> certificates.Pair:
    issuer = certificates.new_issuer(certificates.new_root("example.com", NOW), "example.com", NOW)
    return leaf_below(issuer, "spiffe://example.com/x", NOW, timedelta(days=1))


def test_a_leaf_says_who_it_is_and_leads_to_the_root(tmp_path: Path) -> None:
    leaf = issue(Authority.open(tmp_path / "ca", "cluster.local", NOW), WEB, NOW)
    certificate, issuer = x509.load_pem_x509_certificates(leaf.chain_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://cluster.local/ns/default/sa/web"
    ]
    assert not list(certificate.subject)
    assert leaf.not_before == NOW - timedelta(minutes=2)
    assert leaf.not_after == NOW + timedelta(hours=24)
    assert renew_at(leaf) == NOW + timedelta(hours=11, minutes=59)
    root = x509.load_pem_x509_certificate((tmp_path / "ca" / "root.pem").read_bytes())
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier()
    assert len(verifier.verify(certificate, [issuer]).chain) == 3


def test_openssl_takes_chain_and_key(tmp_path: Path) -> None:
    leaf = issue(Authority.open(tmp_path, "cluster.local", NOW), WEB, NOW)
    (tmp_path / "leaf").write_bytes(leaf.key_pem + leaf.chain_pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "leaf")


def test_reopening_finds_the_same_authority_and_nobody_else_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    first = Authority.open(folder, "cluster.local", NOW)
    leaf = issue(first, WEB, NOW)
    again = Authority.open(folder, "cluster.local", NOW + timedelta(days=1))
    assert again.roots_pem == first.roots_pem
    assert is_recognised(again, WEB, leaf.chain_pem, leaf.key_pem)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == {"root.pem", "roots.json", "issuer.pem"}


def test_the_issuer_is_replaced_at_half_its_life_and_old_leaves_stay_good(tmp_path: Path) -> None:
    first = Authority.open(tmp_path, "cluster.local", NOW)
    later = NOW + timedelta(days=200)
    second = Authority.open(tmp_path, "cluster.local", later)
    old, new = issue(first, WEB, later), issue(second, WEB, later)
    assert x509.load_pem_x509_certificates(old.chain_pem)[1] != x509.load_pem_x509_certificates(new.chain_pem)[1]
    assert is_recognised(second, WEB, old.chain_pem, old.key_pem)
    again = issue(Authority.open(tmp_path, "cluster.local", later), WEB, later)
    assert again.chain_pem.endswith(new.chain_pem[new.chain_pem.find(b"-----BEGIN", 1) :])


def test_damage_is_told_and_a_damaged_issuer_is_made_anew(tmp_path: Path) -> None:
    Authority.open(tmp_path, "cluster.local", NOW)
    (tmp_path / "issuer.pem").write_bytes(b"rubbish")
    issue(Authority.open(tmp_path, "cluster.local", NOW), WEB, NOW)
    with pytest.raises(AuthorityError, match="has expired"):
        Authority.open(tmp_path, "cluster.local", NOW + timedelta(days=3651))
    kept = msgspec.json.decode((tmp_path / "roots.json").read_bytes())
    kept["active"]["key"] = pair().key_pem.decode()
    (tmp_path / "roots.json").write_bytes(msgspec.json.encode(kept))
    with pytest.raises(AuthorityError, match="does not belong to the certificate"):
        Authority.open(tmp_path, "cluster.local", NOW)
    (tmp_path / "roots.json").write_bytes(b"rubbish")
    with pytest.raises(AuthorityError, match=r"roots.json is damaged"):
        Authority.open(tmp_path, "cluster.local", NOW)


def test_foreign_identities_are_refused(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "a", "cluster.local", NOW)
    with pytest.raises(RequestError, match=r"other.org.* is not in the trust domain"):
        issue(authority, Identity("other.org", "default", "web"), NOW)
    leaf = issue(authority, WEB, NOW)
    other = Authority.open(tmp_path / "b", "cluster.local", NOW)
    assert not is_recognised(other, WEB, leaf.chain_pem, leaf.key_pem)
    assert not is_recognised(authority, Identity("cluster.local", "default", "db"), leaf.chain_pem, leaf.key_pem)
    assert not is_recognised(authority, WEB, leaf.chain_pem, issue(authority, WEB, NOW).key_pem)
    assert not is_recognised(authority, WEB, b"-----BEGIN CERTIFICATE-----", leaf.key_pem)


def served(store: RequestedLeaves, name: str = "default") -> Secret:
    return Secret.FromString(store.secrets_of(PROXY)[ResourceName(name)].value)


def test_leaves_outlive_the_agent_and_are_renewed_at_half_life(tmp_path: Path) -> None:
    async def run() -> None:
        clock, authority = Clock(), Authority.open(tmp_path / "ca", "cluster.local", NOW)
        store = leaves_of(authority, tmp_path / "leaves", clock)
        leaf = await store.add(PROXY, WEB)
        assert served(store).tls_certificate.private_key.inline_bytes == leaf.key_pem
        assert served(store, "ROOTCA").validation_context.trusted_ca.inline_bytes == authority.roots_pem

        again = leaves_of(authority, tmp_path / "leaves", clock)
        assert await again.add(PROXY, WEB) == leaf
        clock.now = renew_at(leaf)
        before, seen = again.secrets_of(PROXY), again.secrets_changed.value
        assert await renewed(again, PROXY) != leaf
        assert again.secrets_changed.value != seen
        assert again.secrets_of(PROXY)[DEFAULT] != before[DEFAULT]
        assert again.secrets_of(PROXY)[ResourceName("ROOTCA")] == before[ResourceName("ROOTCA")]
        assert await leaves_of(authority, tmp_path / "leaves", clock).add(PROXY, WEB) == again.leaf_of(PROXY)
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "leaves").iterdir()} == {0o600}

    asyncio.run(run())


def test_a_kept_leaf_of_another_identity_or_damaged_is_not_used(tmp_path: Path) -> None:
    async def run() -> None:
        store = leaves_of(Authority.open(tmp_path / "ca", "cluster.local", NOW), tmp_path / "l", Clock())
        leaf = await store.add(PROXY, WEB)
        other = await store.add(PROXY, Identity("cluster.local", "default", "db"))
        assert other.identity.service_account == "db"
        (tmp_path / "l" / f"{PROXY}.pem").write_bytes(leaf.key_pem)
        assert (await store.add(PROXY, WEB)).chain_pem != leaf.chain_pem
        store.remove(PROXY)
        assert not list((tmp_path / "l").iterdir())
        assert store.secrets_of(PROXY) == {}

    asyncio.run(run())


def test_the_store_renews_by_itself(tmp_path: Path) -> None:
    async def run() -> None:
        authority = Authority.open(tmp_path / "ca", "cluster.local", datetime.now(UTC))
        # a quarter of the life is put before now, and the middle soon comes
        store = leaves_of(authority, tmp_path / "l", lifetime=timedelta(seconds=1))
        first = await store.add(PROXY, WEB)
        assert await renewed(store, PROXY) != first

    asyncio.run(run())


def test_gateways_get_the_credentials_of_their_namespace_only(tmp_path: Path) -> None:
    store = leaves_of(Authority.open(tmp_path / "ca", "cluster.local", NOW), tmp_path / "l", Clock())
    asyncio.run(store.add(PROXY, WEB, is_gateway=True))
    sidecar = ProxyName("db-1.default")
    asyncio.run(store.add(sidecar, WEB))
    mine, clients = pair(), pair()
    findings = store.set_credentials(
        (
            secret("shop", tls_crt=mine.chain_pem, tls_key=mine.key_pem, ca_crt=mine.chain_pem),
            secret("shop-cacert", cacert=clients.chain_pem),
            secret("old", cert=mine.chain_pem, key=mine.key_pem),
            secret("theirs", "other", tls_crt=mine.chain_pem, tls_key=mine.key_pem),
            secret("plain", password=b"x"),
        )
    )
    assert findings == ()
    assert set(store.secrets_of(PROXY)) == {
        "default", "ROOTCA", "kubernetes://shop", "kubernetes://shop-cacert", "kubernetes://old",
    }  # fmt: skip
    assert served(store, "kubernetes://shop").tls_certificate.private_key.inline_bytes == mine.key_pem
    trusted = served(store, "kubernetes://shop-cacert").validation_context.trusted_ca.inline_bytes
    assert trusted == clients.chain_pem
    assert set(store.secrets_of(sidecar)) == {"default", "ROOTCA"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"tls_crt": b"x", "tls_key": b"y"}, "the certificate is not PEM"),
        ({"tls_crt": pair().chain_pem, "tls_key": b"y"}, "the private key is not PEM"),
        ({"tls_crt": pair().chain_pem, "tls_key": pair().key_pem}, "does not belong"),
        ({"tls_crt": pair().chain_pem}, "only one of"),
        (
            {"tls_crt": (root := certificates.new_root("x", NOW)).chain_pem, "tls_key": root.key_pem},
            "lacks digitalSignature",
        ),
        ({"ca_crt": b"nothing"}, "the CA certificate is not PEM"),
    ],
    ids=["certificate", "key", "pair", "half", "usage", "ca"],
)
def test_unusable_credentials_are_not_served_and_are_told(data: dict[str, bytes], why: str) -> None:
    checked = credential(secret("shop", "default", **data))
    assert checked.value == ()
    assert [finding.code.id for finding in checked.findings] == ["MW0303"]
    assert why in checked.findings[0].message


def test_keys_are_in_no_text(tmp_path: Path) -> None:
    store = leaves_of(Authority.open(tmp_path / "ca", "cluster.local", NOW), tmp_path / "l", Clock())
    leaf = asyncio.run(store.add(PROXY, WEB))
    shown = repr(leaf) + repr(store.secrets_of(PROXY)) + repr(pair())
    body = leaf.key_pem.splitlines()[1].decode()
    assert body not in shown
    assert "PRIVATE" not in shown
