"""The mesh's own certificate authority: a root that signs issuers, an issuer that signs leaves.

    <folder>/root.pem     the root's certificate (public; what every proxy trusts)
    <folder>/root.key     its private key
    <folder>/issuer.pem   the issuer's private key and certificate in one file, so that both are replaced at once

The folder is 0700, its files 0600. The issuer is renewed at half its life when the authority is opened; leaves carry
the issuer's certificate, so proxies that trust the root accept old and new ones alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from meshwright.ca import files
from meshwright.ca.times import DEFAULT_TIMES, CertificateTimes
from meshwright.model.workload import Identity

if TYPE_CHECKING:
    from meshwright.ca.certificates import Pair

SERVER_LIFETIME = timedelta(days=90)
CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"


class AuthorityError(Exception):
    """The authority's files cannot be used; the text says which and what to do."""


class ForeignIdentityError(Exception):
    """A certificate was asked for an identity of another trust domain."""


@dataclass(frozen=True, slots=True)
class LeafCertificate:
    """A workload's certificate (PEM, followed by the issuer's) and its private key (PEM)."""

    identity: Identity
    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime


def renew_at(leaf: LeafCertificate) -> datetime:
    """Half of its life: as much is left for trying again."""
    return leaf.not_before + (leaf.not_after - leaf.not_before) / 2


class Authority:
    """Issues certificates for the workloads of one trust domain."""

    def __init__(self, trust_domain: str, root_pem: bytes, issuer: "Pair", times: CertificateTimes) -> None:
        self.trust_domain = trust_domain
        self.times = times
        self.roots_pem = root_pem
        self._issuer = issuer

    @classmethod
    def open(
        cls, folder: Path, trust_domain: str, now: datetime, times: CertificateTimes = DEFAULT_TIMES
    ) -> "Authority":
        """Load the authority in `folder`, or make a new one where none is. `now` is UTC.

        Raises AuthorityError when its files are damaged or expired, OSError when they cannot be read or written.
        """
        from meshwright.ca import certificates

        files.make_folder(folder)
        root_pem = folder / "root.pem"
        if not root_pem.exists():
            _create(folder, trust_domain, now)
        root = certificates.Pair(root_pem.read_bytes(), (folder / "root.key").read_bytes())
        problem = certificates.problem_of_pair(root.chain_pem, root.key_pem)
        if problem:
            raise AuthorityError(f"{folder}: {problem}: put root.pem and root.key back, or remove the folder")
        if certificates.validity(root.chain_pem)[1] <= now:
            raise AuthorityError(f"{folder}: the root has expired: remove the folder, and restart every workload")
        return cls(trust_domain, root.chain_pem, _issuer(folder, root, trust_domain, now), times)

    def issue(self, identity: Identity, now: datetime, lifetime: timedelta | None = None) -> LeafCertificate:
        """A new key and certificate for `identity`. Raises ForeignIdentityError."""
        from meshwright.ca import certificates

        if identity.trust_domain != self.trust_domain:
            raise ForeignIdentityError(f"{identity.uri} is not in the trust domain {self.trust_domain}")
        pair = certificates.new_leaf(self._issuer, identity.uri, now, lifetime or self.times.leaf)
        return LeafCertificate(identity, pair.chain_pem, pair.key_pem, *certificates.validity(pair.chain_pem))

    def issue_server(
        self, names: Sequence[str], now: datetime, lifetime: timedelta = SERVER_LIFETIME
    ) -> tuple[bytes, bytes]:
        """A certificate (PEM, with the issuer's) and key (PEM) for a server of ours, such as the object API.

        `names` are the host names and IP addresses that clients use, at least one.
        """
        from meshwright.ca import certificates

        pair = certificates.new_server(self._issuer, names, now, lifetime)
        return pair.chain_pem, pair.key_pem

    def sign(self, csr_pem: bytes, identity: Identity, now: datetime, lifetime: timedelta | None = None) -> bytes:
        """The chain (PEM) for a request of exactly this identity.

        Raises ValueError with the reason when the request is of another identity, not made by who has its key, of
        a weak key, or not readable. Whether the asker may have the identity is the caller's question.
        """
        from meshwright.ca import certificates, requests

        if identity.trust_domain != self.trust_domain:
            raise requests.RequestError(f"{identity.uri} is not in the trust domain {self.trust_domain}")
        key = requests.key_of_request(csr_pem, identity.uri)
        return certificates.leaf_for(self._issuer, key, identity.uri, now, lifetime or self.times.leaf)

    def recognises(self, identity: Identity, chain_pem: bytes, key_pem: bytes) -> LeafCertificate | None:
        """A leaf that was kept, if it is whole, for this identity and of this authority; else None."""
        return recognise(self.roots_pem, identity, chain_pem, key_pem)


def recognise(roots_pem: bytes, identity: Identity, chain_pem: bytes, key_pem: bytes) -> LeafCertificate | None:
    """A leaf, if it is whole, for this identity, and signed by an issuer of the root; else None."""
    from meshwright.ca import certificates

    if certificates.problem_of_pair(chain_pem, key_pem) or certificates.uris(chain_pem) != [identity.uri]:
        return None
    issuer_pem = chain_pem[chain_pem.find(CERTIFICATE_MARK, 1) :]
    try:
        known = certificates.is_signed_by(issuer_pem, roots_pem)
        if not (known and certificates.is_signed_by(chain_pem, issuer_pem)):
            return None
    except ValueError:
        return None
    return LeafCertificate(identity, chain_pem, key_pem, *certificates.validity(chain_pem))


def _create(folder: Path, trust_domain: str, now: datetime) -> None:
    """A new root; its certificate comes last, so a killed run leaves nothing that counts."""
    from meshwright.ca import certificates

    root = certificates.new_root(trust_domain, now)
    (folder / "issuer.pem").unlink(missing_ok=True)
    files.write(folder / "root.key", root.key_pem)
    files.write(folder / "root.pem", root.chain_pem)


def _issuer(folder: Path, root: "Pair", trust_domain: str, now: datetime) -> "Pair":
    """The issuer in `folder`; a new one when there is none, or it is damaged, foreign or past half its life."""
    from meshwright.ca import certificates

    path = folder / "issuer.pem"
    content = path.read_bytes() if path.exists() else b""
    at = content.find(CERTIFICATE_MARK)
    if at > 0:
        found = certificates.Pair(content[at:], content[:at])
        if not certificates.problem_of_pair(found.chain_pem, found.key_pem):
            begin, end = certificates.validity(found.chain_pem)
            if certificates.is_signed_by(found.chain_pem, root.chain_pem) and now < begin + (end - begin) / 2:
                return found
    made = certificates.new_issuer(root, trust_domain, now)
    files.write(path, made.key_pem + made.chain_pem)
    return made
