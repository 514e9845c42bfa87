"""Which uids the sandbox can use, and how Envoy's own traffic is told from the application's.

Where the user namespace maps many uids every pod's application gets one of its own and Envoy is uid 1337, as in
Istio. Where only one uid is mapped all share it; then Envoy marks its packets (SO_MARK 1337) instead.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROXY_UID = 1337
RESOLVER_UID = 1338
PROXY_MARK = 1337

Exclusion = Literal["uid", "mark"]

# Above every range that login managers, containers and dynamic services use; below 2^31.
_FULL_BASE, _FULL_COUNT = 1_900_000_000, 65_536
# Inside one subordinate range of 65,536 ids, above the system's own.
_RANGE_BASE, _RANGE_COUNT = 10_000, 40_000
_SMALLEST_RANGE = RESOLVER_UID + 1


@dataclass(frozen=True, slots=True)
class UidPlan:
    """The uids of a sandbox as its inside counts; `app_count` 0 means that there is only the caller's uid."""

    app_base: int
    app_count: int

    @property
    def single(self) -> bool:
        return self.app_count == 0

    @property
    def exclusion(self) -> Exclusion:
        return "mark" if self.single else "uid"

    def app(self, index: int) -> int | None:
        """The application uid of pod number `index` (0, 1, ...); None when all share one uid."""
        return None if self.single else self.app_base + index % self.app_count

    @property
    def proxy(self) -> int | None:
        return None if self.single else PROXY_UID

    @property
    def resolver(self) -> int | None:
        return None if self.single else RESOLVER_UID


SINGLE = UidPlan(0, 0)


def plan_of(uid_map: str) -> UidPlan:
    """The plan for a user namespace, from the text of its uid_map (inside, outside, count on each line)."""
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in uid_map.splitlines())]

    def mapped(first: int, count: int) -> bool:
        return any(start <= first and first + count <= start + length for start, length in ranges)

    if not (mapped(PROXY_UID, 1) and mapped(RESOLVER_UID, 1)):
        return SINGLE
    if mapped(_FULL_BASE, _FULL_COUNT):
        return UidPlan(_FULL_BASE, _FULL_COUNT)
    for count in (_RANGE_COUNT, 10_000, 1_000):
        if mapped(_RANGE_BASE, count):
            return UidPlan(_RANGE_BASE, count)
    return SINGLE


def current_plan() -> UidPlan:
    """The plan of the user namespace that this process is in."""
    return plan_of(Path("/proc/self/uid_map").read_text(encoding="ascii"))


@dataclass(frozen=True, slots=True)
class SubordinateRanges:
    """The first ranges of /etc/subuid and /etc/subgid that belong to one user."""

    first_uid: int
    uids: int
    first_gid: int
    gids: int


def _range_for(text: str, names: tuple[str, ...]) -> tuple[int, int] | None:
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in names and fields[1].isdigit() and fields[2].isdigit():
            first, count = int(fields[1]), int(fields[2])
            if count >= _SMALLEST_RANGE:
                return first, count
    return None


def own_ranges() -> SubordinateRanges | None:
    """The subordinate ids of the user who runs this process."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return subordinate_ranges(name, uid)


def subordinate_ranges(user: str, uid: int, etc: Path = Path("/etc")) -> SubordinateRanges | None:
    """The subordinate ids that the administrator gave to this user, by name or number; None without."""
    found: list[tuple[int, int]] = []
    for name in ("subuid", "subgid"):
        try:
            text = (etc / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        piece = _range_for(text, (user, str(uid)))
        if piece is None:
            return None
        found.append(piece)
    return SubordinateRanges(*found[0], *found[1])
