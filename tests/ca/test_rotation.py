"""Issuers and roots are replaced while leaves live: every valid leaf is accepted, whenever we are killed."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import uvloop

from meshwright.ca import certificates, files
from meshwright.ca.authority import Authority, LeafCertificate
from meshwright.ca.rotation import Rotation
from meshwright.ca.times import CertificateTimes
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from meshwright.model.names import ProxyName, ResourceName
from meshwright.model.workload import Identity
from tests.ca.signing import is_recognised, issue, leaves_of

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
WEB = Identity("cluster.local", "default", "web")
LEAF = timedelta(minutes=10)
TIMES = CertificateTimes(leaf=LEAF, issuer=timedelta(minutes=40), root=timedelta(minutes=160))
MINUTE = timedelta(minutes=1)


def open_at(folder: Path, now: datetime, times: CertificateTimes = TIMES) -> Authority:
    return Authority.open(folder, "cluster.local", now, times)


def issuer_of(leaf: LeafCertificate) -> bytes:
    return certificates.split(leaf.chain_pem)[1]


def root_of(leaf: LeafCertificate, bundle: bytes) -> bytes:
    return next(root for root in certificates.split(bundle) if certificates.is_signed_by(issuer_of(leaf), root))


@pytest.mark.parametrize("late", [0 * MINUTE, 3 * MINUTE, LEAF - MINUTE], ids=["at-once", "late", "never"])
def test_every_valid_leaf_is_accepted_by_everybody_at_every_time(tmp_path: Path, late: timedelta) -> None:
    """Five hours, minute by minute. Everybody knows the bundle of `late` ago; whoever heard nothing for the life of a
    leaf has none any more, so nobody knows an older one.
    """
    authority = open_at(tmp_path, NOW)
    bundles: list[bytes] = []
    leaves: list[LeafCertificate] = []
    signers: set[bytes] = set()
    for minute in range(300):
        now = NOW + minute * MINUTE
        authority.renew(now)
        bundles.append(authority.roots_pem)
        known = bundles[max(0, minute - late // MINUTE)]
        authority.renew(now, trusted=known if late < LEAF - MINUTE else b"")
        leaves = [leaf for leaf in leaves if leaf.not_after > now]
        leaves.append(issue(authority, WEB, now))
        for leaf in leaves:
            assert is_recognised(authority, WEB, leaf.chain_pem, leaf.key_pem), f"minute {minute}"
            assert root_of(leaf, known), f"minute {minute}"
        chain = certificates.split(leaves[-1].chain_pem)
        assert all(certificates.validity(each)[1] >= leaves[-1].not_after for each in chain)
        signers.add(chain[1])
        assert len(certificates.split(authority.roots_pem)) <= 2
        assert authority.due() > now
    assert len({root for bundle in set(bundles) for root in certificates.split(bundle)}) >= 4
    assert len(signers) >= 12


def test_the_next_root_signs_only_when_the_bundle_with_it_is_acknowledged(tmp_path: Path) -> None:
    authority = open_at(tmp_path, NOW)
    before, half = authority.roots_pem, NOW + TIMES.root / 2
    authority.renew(half)
    assert authority.is_introducing
    assert authority.roots_pem.startswith(before)
    assert root_of(issue(authority, WEB, half), authority.roots_pem) == before
    authority.renew(half, trusted=before)  # an acknowledgement of what was before
    assert root_of(issue(authority, WEB, half), authority.roots_pem) == before
    again = open_at(tmp_path, half)
    assert again.roots_pem == authority.roots_pem
    again.renew(half, trusted=again.roots_pem)
    assert not again.is_introducing
    assert root_of(issue(again, WEB, half), again.roots_pem) != before
    assert before in again.roots_pem
    again.renew(half + LEAF)
    assert before not in again.roots_pem
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert kept.count(b"PRIVATE KEY-----") == 2 * 2, "the key of the root, and that of the issuer; no former one"


def test_leaves_of_a_longer_life_are_waited_for(tmp_path: Path) -> None:
    open_at(tmp_path, NOW, CertificateTimes(timedelta(minutes=20), TIMES.issuer, TIMES.root))
    authority = open_at(tmp_path, NOW)  # the setting was changed: leaves of before may still be there
    half = NOW + TIMES.root / 2
    authority.renew(half)
    authority.renew(half, trusted=authority.roots_pem)
    authority.renew(half + timedelta(minutes=19))
    assert len(certificates.split(authority.roots_pem)) == 2
    authority.renew(half + timedelta(minutes=20))
    assert len(certificates.split(authority.roots_pem)) == 1


def test_an_authority_of_before_is_taken_over(tmp_path: Path) -> None:
    root = certificates.new_root("cluster.local", NOW)
    (tmp_path / "root.pem").write_bytes(root.chain_pem)
    (tmp_path / "root.key").write_bytes(root.key_pem)
    assert open_at(tmp_path, NOW).roots_pem == root.chain_pem
    assert {path.name for path in tmp_path.iterdir()} == {"root.pem", "roots.json", "issuer.pem"}


# ---------------------------------------------------------------- when something fails


@contextmanager
def writes(instead: Callable[[Path, bytes], None]) -> Generator[None]:
    original = files.write
    files.write = instead
    try:
        yield
    finally:
        files.write = original


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    def full(path: Path, content: bytes) -> None:
        del content
        raise OSError(28, "No space left on device", str(path))

    authority = open_at(tmp_path, NOW)
    before, bundle = issuer_of(issue(authority, WEB, NOW)), authority.roots_pem
    for when in (TIMES.issuer / 2, TIMES.root / 2):
        with writes(full), pytest.raises(OSError, match="No space"):
            authority.renew(NOW + when)
    assert authority.roots_pem == bundle
    assert issuer_of(issue(authority, WEB, NOW + TIMES.issuer / 2)) == before
    authority.renew(NOW + TIMES.issuer / 2)
    assert issuer_of(issue(authority, WEB, NOW + TIMES.issuer / 2)) != before


class Said(msgspec.Struct, frozen=True):
    """What somebody outside knows: the time, the bundle that everybody has, perhaps a leaf that was given."""

    now: datetime
    bundle: bytes
    chain: bytes = b""
    key: bytes = b""
    until: datetime = NOW


def step_by_step(folder: Path, log: int) -> None:
    """Two hours of an authority. Every word is written down when it is said."""

    def say(*words: object) -> None:
        os.write(log, msgspec.json.encode(Said(*words)) + b"\n")  # type: ignore[arg-type]

    for minute in range(0, 120, 5):
        now = NOW + minute * MINUTE
        authority = open_at(folder, now)
        say(now, authority.roots_pem)
        authority.renew(now, trusted=authority.roots_pem)
        leaf = issue(authority, WEB, now)
        say(now, authority.roots_pem, leaf.chain_pem, leaf.key_pem, leaf.not_after)


def killed_at(point: int, folder: Path) -> bool:
    """Run in a child that is killed at its `point`th operation on files; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = point
        plain_replace, plain_fsync, plain_unlink = Path.replace, os.fsync, Path.unlink

        def count() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def replace(path: Path, target: Path) -> Path:
            count()
            done = plain_replace(path, target)
            count()
            return done

        def fsync(descriptor: int) -> None:
            count()
            plain_fsync(descriptor)

        def unlink(path: Path, *, missing_ok: bool = False) -> None:
            count()
            plain_unlink(path, missing_ok=missing_ok)

        Path.replace, os.fsync, Path.unlink = replace, fsync, unlink  # type: ignore[method-assign]
        code = 1
        try:
            step_by_step(folder, os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def test_a_kill_between_any_two_steps_leaves_an_authority_that_everybody_trusts(tmp_path: Path) -> None:
    point = 0
    while True:
        point += 1
        folder = tmp_path / str(point)
        folder.mkdir()
        was_killed = killed_at(point, folder)
        lines = (folder / "log").read_bytes().splitlines()
        (folder / "log").unlink()
        said = [msgspec.json.decode(line, type=Said) for line in lines]
        now = said[-1].now if said else NOW
        authority = open_at(folder, now)
        if said:
            fresh = issue(authority, WEB, now)
            assert root_of(fresh, said[-1].bundle), f"point {point}: who heard the last bundle trusts what is signed"
        for each in said:
            if each.until > now:
                assert is_recognised(authority, WEB, each.chain, each.key), (
                    f"point {point}: valid leaves are accepted"
                )
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        if not was_killed:
            break
    assert point > 40


# ---------------------------------------------------------------- by itself


def test_everything_is_renewed_by_itself_and_served(tmp_path: Path) -> None:
    """Leaves of two seconds, roots of eight: the store of a proxy always has a leaf that its own bundle accepts."""
    times = CertificateTimes(timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=8))
    proxy = ProxyName("web-1.default")

    def clock() -> datetime:
        return datetime.now(UTC)

    async def run() -> None:
        authority = open_at(tmp_path / "ca", clock(), times)
        store = leaves_of(authority, tmp_path / "leaves", clock)
        first = await store.add(proxy, WEB)
        answers = iter([False, True, True, True])

        async def acknowledged(timeout: float) -> bool:
            del timeout
            await asyncio.sleep(0.1)
            return next(answers, True)

        roots, issuers = {authority.roots_pem}, {issuer_of(first)}
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(store.run())]
            running.append(tasks.create_task(Rotation(authority, clock, acknowledged).run()))
            seen = store.secrets_changed.value
            while len(roots) < 4 or len(issuers) < 4:
                seen = await store.secrets_changed.newer_than(seen)
                leaf = store.leaf_of(proxy)
                assert leaf is not None
                bundle = Secret.FromString(store.secrets_of(proxy)[ResourceName("ROOTCA")].value)
                trusted = bundle.validation_context.trusted_ca.inline_bytes
                assert trusted == authority.roots_pem
                assert root_of(leaf, trusted)
                assert leaf.not_after > clock()
                roots.add(trusted)
                issuers.add(issuer_of(leaf))
            for task in running:
                task.cancel()

    uvloop.run(run())
