"""The roots of an authority on disk: the one that signs, the one that comes next, those that are on their way out.

    <folder>/roots.json    all of them with the keys that are needed (0600); every step replaces the file as a whole
    <folder>/root.pem      the certificates alone, for whoever wants to look (made from roots.json)

An authority of before had root.pem and root.key; it is taken over.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from meshwright.ca import files
from meshwright.ca.certificates import Pair

LOG = logging.getLogger(__name__)
FILE, PUBLIC, OLD_KEY = "roots.json", "root.pem", "root.key"


@dataclass(frozen=True, slots=True)
class Next:
    """A root that is made known before it signs anything."""

    pair: Pair
    since: datetime


@dataclass(frozen=True, slots=True)
class Former:
    """The certificate of a root that signs no more; what it signed is valid until `until`. Its key is destroyed."""

    certificate_pem: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Roots:
    """`longest_leaf` is how long leaves under `active` may live: nobody drops it sooner after its end."""

    active: Pair
    longest_leaf: timedelta
    next: Next | None = None
    former: tuple[Former, ...] = ()

    @property
    def bundle_pem(self) -> bytes:
        """What proxies are to trust."""
        coming = [self.next.pair.chain_pem] if self.next else []
        return b"".join([self.active.chain_pem, *coming, *(each.certificate_pem for each in self.former)])


def load(folder: Path, longest_leaf: timedelta) -> Roots | None:
    """What is kept in `folder`, None where nothing is. `longest_leaf` counts where no file says it.

    Raises ValueError when the file is damaged, OSError when it cannot be read.
    """
    kept, certificate, key = (folder / name for name in (FILE, PUBLIC, OLD_KEY))
    if kept.exists():
        return _decoded(kept.read_bytes())
    if certificate.exists() and key.exists():
        return Roots(Pair(certificate.read_bytes(), key.read_bytes()), longest_leaf)
    return None


def save(folder: Path, roots: Roots) -> None:
    """Keep them, in one step. Raises OSError; they count as soon as this returns."""
    _write(folder / FILE, msgspec.json.encode(_encoded(roots)))
    try:
        _write(folder / PUBLIC, roots.bundle_pem)
        (folder / OLD_KEY).unlink(missing_ok=True)
    except OSError as error:
        LOG.warning("%s could not be written, and is only a copy: %s", folder / PUBLIC, error)


def _write(path: Path, content: bytes) -> None:
    if not (path.exists() and path.read_bytes() == content):
        files.write(path, content)


# ---------------------------------------------------------------- the file


class _Pair(msgspec.Struct, frozen=True):
    certificate: str
    key: str


class _Next(msgspec.Struct, frozen=True):
    pair: _Pair
    since: datetime


class _Former(msgspec.Struct, frozen=True):
    certificate: str
    until: datetime


class _File(msgspec.Struct, frozen=True):
    active: _Pair
    longest_leaf: float
    next: _Next | None = None
    former: tuple[_Former, ...] = ()


def _encoded(roots: Roots) -> _File:
    def text(pair: Pair) -> _Pair:
        return _Pair(pair.chain_pem.decode(), pair.key_pem.decode())

    return _File(
        text(roots.active),
        roots.longest_leaf.total_seconds(),
        _Next(text(roots.next.pair), roots.next.since) if roots.next else None,
        tuple(_Former(each.certificate_pem.decode(), each.until) for each in roots.former),
    )


def _decoded(data: bytes) -> Roots:
    try:
        kept = msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None

    def pair(each: _Pair) -> Pair:
        return Pair(each.certificate.encode(), each.key.encode())

    return Roots(
        pair(kept.active),
        timedelta(seconds=kept.longest_leaf),
        Next(pair(kept.next.pair), kept.next.since) if kept.next else None,
        tuple(Former(each.certificate.encode(), each.until) for each in kept.former),
    )
