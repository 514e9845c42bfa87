"""The mesh's own certificate authority: a root that signs issuers, an issuer that signs leaves.

    <folder>/roots.json   the roots with their keys: see roots.py
    <folder>/issuer.pem   the issuer's private key and certificate in one file, so that both are replaced at once

The folder is 0700, its files 0600. `renew` brings about what is due while the mesh runs: see there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from meshwright.asynctools.latest import Latest
from meshwright.ca import files
from meshwright.ca.times import DEFAULT_TIMES, CertificateTimes
from meshwright.model.workload import Identity

if TYPE_CHECKING:
    from meshwright.ca.certificates import Pair
    from meshwright.ca.roots import Roots

LOG = logging.getLogger(__name__)
SERVER_LIFETIME = timedelta(days=90)
CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
ISSUER = "issuer.pem"


class AuthorityError(Exception):
    """The authority's files cannot be used; the text says which and what to do."""


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
    """Issues certificates for the workloads of one trust domain. `open` makes one."""

    def __init__(self, folder: Path, trust_domain: str, times: CertificateTimes, roots: "Roots") -> None:
        self.trust_domain = trust_domain
        self.times = times
        self.roots: Latest[bytes] = Latest(roots.bundle_pem)
        """What every proxy is to trust (PEM, one certificate or more)."""
        self._folder = folder
        self._roots = roots
        self._issuer: Pair | None = None

    @classmethod
    def open(
        cls, folder: Path, trust_domain: str, now: datetime, times: CertificateTimes = DEFAULT_TIMES
    ) -> "Authority":
        """Load the authority in `folder`, or make a new one where none is. `now` is UTC.

        Raises AuthorityError when its files are damaged or expired, OSError when they cannot be read or written.
        """
        from meshwright.ca import certificates, roots

        files.make_folder(folder)
        advice = f"put {roots.FILE} back, or remove the folder and restart every workload"
        try:
            kept = roots.load(folder, times.leaf)
        except ValueError as error:
            raise AuthorityError(f"{folder}: {roots.FILE} is damaged ({error}): {advice}") from None
        if kept is None:
            kept = roots.Roots(certificates.new_root(trust_domain, now, times.root), times.leaf)
        for pair in (kept.active, *([kept.next.pair] if kept.next else [])):
            if problem := certificates.problem_of_pair(pair.chain_pem, pair.key_pem):
                raise AuthorityError(f"{folder}: {problem}: {advice}")
        if kept.next is None and certificates.validity(kept.active.chain_pem)[1] <= now:
            raise AuthorityError(f"{folder}: the root has expired: remove the folder, and restart every workload")
        made = cls(folder, trust_domain, times, kept)
        made._keep(replace(kept, longest_leaf=max(kept.longest_leaf, times.leaf)))
        made._issuer = _kept_issuer(folder, kept.active)
        made.renew(now)
        return made

    @property
    def roots_pem(self) -> bytes:
        """The newest value of `roots`."""
        return self.roots.value

    # ------------------------------------------------------------ signing

    def issue_server(
        self, names: Sequence[str], now: datetime, lifetime: timedelta = SERVER_LIFETIME
    ) -> tuple[bytes, bytes]:
        """A certificate (PEM, with the issuer's) and key (PEM) for a server of ours, such as the object API.

        `names` are the host names and IP addresses that clients use, at least one. It ends with the issuer at the
        latest, and nobody waits for its end when the root is exchanged: see `leads_to_a_root`.
        """
        from meshwright.ca import certificates

        pair = certificates.new_server(self._signer, names, now, lifetime)
        return pair.chain_pem, pair.key_pem

    def sign(self, csr_pem: bytes, identity: Identity, now: datetime, lifetime: timedelta | None = None) -> bytes:
        """The chain (PEM) for a request of exactly this identity, which lives as `times` says, or shorter.

        Raises ValueError with the reason when the request is of another identity, not made by who has its key, of
        a weak key, or not readable. Whether the asker may have the identity is the caller's question.
        """
        from meshwright.ca import certificates, requests

        if identity.trust_domain != self.trust_domain:
            raise requests.RequestError(f"{identity.uri} is not in the trust domain {self.trust_domain}")
        key = requests.key_of_request(csr_pem, identity.uri)
        longest = self.times.leaf
        return certificates.leaf_for(self._signer, key, identity.uri, now, min(lifetime or longest, longest))

    @property
    def _signer(self) -> "Pair":
        assert self._issuer is not None, "open has made one"
        return self._issuer

    # ------------------------------------------------------------ rotation

    @property
    def is_introducing(self) -> bool:
        """Whether a next root is being made known: it signs once everybody trusts it (`renew`, `trusted`)."""
        return self._roots.next is not None

    def due(self) -> datetime:
        """When `renew` has something to do next."""
        dates = [_half_life(self._signer), *(each.until for each in self._roots.former)]
        coming = self._roots.next
        dates.append(coming.since + self._roots.longest_leaf if coming else _half_life(self._roots.active))
        return min(dates)

    def renew(self, now: datetime, *, trusted: bytes = b"") -> None:
        """Bring about what is due; call it when `due`, and when everybody trusts the `roots` of now.

        - The issuer is replaced at half its life. Leaves carry their issuer's certificate, so old and new ones are
          accepted side by side.
        - A next root is made known to all proxies at half the life of the old one, beside it. It signs when everybody
          has acknowledged both, or after the life of a leaf: who has heard nothing for so long has no valid
          certificate any more.
        - The old root is dropped when the last leaf below it has ended.

        `trusted` is the value of `roots` that all proxies have acknowledged. Raises OSError when a file cannot be
        written; what is there goes on signing then, and the next call tries again.
        """
        self._drop(now)
        self._introduce(now)
        self._exchange(now, trusted)
        if self._issuer is None or now >= _half_life(self._issuer):
            self._issuer = self._new_issuer(self._roots.active, now)

    def _drop(self, now: datetime) -> None:
        former = tuple(each for each in self._roots.former if now < each.until)
        if len(former) < len(self._roots.former):
            self._keep(replace(self._roots, former=former))
            LOG.info("what a former root signed has ended: it is not trusted any more")

    def _introduce(self, now: datetime) -> None:
        from meshwright.ca import certificates, roots

        if self._roots.next is None and now >= _half_life(self._roots.active):
            made = certificates.new_root(self.trust_domain, now, self.times.root)
            self._keep(replace(self._roots, next=roots.Next(made, now)))
            LOG.info("a next root is made known to all proxies")

    def _exchange(self, now: datetime, trusted: bytes) -> None:
        """The issuer's file first: one that does not fit the root is made anew, should we be killed in between."""
        from meshwright.ca import roots

        before, coming = self._roots, self._roots.next
        if coming is None or (trusted != self.roots.value and now < coming.since + before.longest_leaf):
            return
        issuer = self._new_issuer(coming.pair, now)
        leaving = roots.Former(before.active.chain_pem, now + before.longest_leaf)
        self._keep(roots.Roots(coming.pair, self.times.leaf, former=(*before.former, leaving)))
        self._issuer = issuer
        LOG.info("the next root signs from now on")

    def _new_issuer(self, root: "Pair", now: datetime) -> "Pair":
        from meshwright.ca import certificates

        made = certificates.new_issuer(root, self.trust_domain, now, self.times.issuer)
        files.write(self._folder / ISSUER, made.key_pem + made.chain_pem)
        LOG.info("a new issuer signs from now on")
        return made

    def _keep(self, changed: "Roots") -> None:
        """On disk first: what nobody remembers must not be used."""
        from meshwright.ca import roots

        roots.save(self._folder, changed)
        self._roots = changed
        if changed.bundle_pem != self.roots.value:
            self.roots.set(changed.bundle_pem)


def leads_to_a_root(roots_pem: bytes, chain_pem: bytes) -> bool:
    """Whether a chain (a certificate and its issuer's) ends at one of these roots."""
    from meshwright.ca import certificates

    issuer_pem = chain_pem[chain_pem.find(CERTIFICATE_MARK, 1) :]
    try:
        known = any(certificates.is_signed_by(issuer_pem, root) for root in certificates.split(roots_pem))
        return known and certificates.is_signed_by(chain_pem, issuer_pem)
    except ValueError:
        return False


def recognise(roots_pem: bytes, identity: Identity, chain_pem: bytes, key_pem: bytes) -> LeafCertificate | None:
    """A leaf, if it is whole, for this identity, and signed by an issuer of one of the roots; else None."""
    from meshwright.ca import certificates

    if certificates.problem_of_pair(chain_pem, key_pem) or certificates.uris(chain_pem) != [identity.uri]:
        return None
    if not leads_to_a_root(roots_pem, chain_pem):
        return None
    return LeafCertificate(identity, chain_pem, key_pem, *certificates.validity(chain_pem))


def _half_life(pair: "Pair") -> datetime:
    from meshwright.ca import certificates

    begin, end = certificates.validity(pair.chain_pem)
    return begin + (end - begin) / 2


def _kept_issuer(folder: Path, root: "Pair") -> "Pair | None":
    """The issuer in `folder`; None when there is none, or it is damaged or foreign."""
    from meshwright.ca import certificates

    path = folder / ISSUER
    content = path.read_bytes() if path.exists() else b""
    at = content.find(CERTIFICATE_MARK)
    if at <= 0:
        return None
    found = certificates.Pair(content[at:], content[:at])
    damaged = certificates.problem_of_pair(found.chain_pem, found.key_pem)
    return found if not damaged and certificates.is_signed_by(found.chain_pem, root.chain_pem) else None
