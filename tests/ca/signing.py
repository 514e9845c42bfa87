"""Certificates as an agent gets them, where the authority that signs is in the same process."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from meshwright.asynctools.latest import Latest
from meshwright.ca import certificates, requests
from meshwright.ca.authority import Authority, LeafCertificate, recognise
from meshwright.ca.requested_leaves import RequestedLeaves
from meshwright.model.names import ProxyName
from meshwright.model.workload import Identity


def issue(
    authority: Authority, identity: Identity, now: datetime, lifetime: timedelta | None = None
) -> LeafCertificate:
    """A new key and the certificate that `authority` signs for it."""
    request, key = requests.new_request(identity.uri)
    chain = authority.sign(request, identity, now, lifetime)
    return LeafCertificate(identity, chain, key, *certificates.validity(chain))


def is_recognised(authority: Authority, identity: Identity, chain_pem: bytes, key_pem: bytes) -> bool:
    """Whether the roots of now make this a leaf of `identity`."""
    return recognise(authority.roots_pem, identity, chain_pem, key_pem) is not None


def leaf_below(issuer: certificates.Pair, uri: str, now: datetime, lifetime: timedelta) -> certificates.Pair:
    """A leaf of any issuer, also of one that must not sign."""
    request, key = requests.new_request(uri)
    return certificates.Pair(
        certificates.leaf_for(issuer, requests.key_of_request(request, uri), uri, now, lifetime), key
    )


class Signer:
    """Signs whatever identity a request asks for."""

    def __init__(self, authority: Authority, clock: Callable[[], datetime], lifetime: timedelta | None) -> None:
        self._authority, self._clock, self._lifetime = authority, clock, lifetime

    @property
    def roots_pem(self) -> Latest[bytes]:
        return self._authority.roots

    async def sign(self, proxy: ProxyName, csr_pem: bytes) -> bytes:
        del proxy
        names = x509.load_pem_x509_csr(csr_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        _, _, domain, _, namespace, _, account = names.get_values_for_type(x509.UniformResourceIdentifier)[0].split(
            "/"
        )
        return self._authority.sign(csr_pem, Identity(domain, namespace, account), self._clock(), self._lifetime)


def leaves_of(
    authority: Authority,
    folder: Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    lifetime: timedelta | None = None,
) -> RequestedLeaves:
    """The secrets of proxies, all signed by `authority`."""
    return RequestedLeaves(Signer(authority, clock, lifetime), folder, clock)


async def renewed(store: RequestedLeaves, proxy: ProxyName) -> LeafCertificate:
    """The next leaf, which the store gets by itself."""
    first = store.leaf_of(proxy)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(store.run())
        while (leaf := store.leaf_of(proxy)) == first:
            await store.secrets_changed.newer_than(store.secrets_changed.value)
        running.cancel()
    assert leaf is not None
    return leaf
