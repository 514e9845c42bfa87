"""What a node reports of its proxies, as values and as rows of tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from meshwright.model.names import ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.planned_pod import PodStatus
from meshwright.xds.session import Complaint

STATUSES, PROGRESS = "statuses", "progress"
LONGEST_MESSAGE = 4_000  # characters of what a proxy says


class Live(StrEnum):
    """Whether a proxy runs a change."""

    LIVE = "live"
    WAITING = "waiting"
    ABSENT = "absent"  # not connected, or its whole node is not


@dataclass(frozen=True, slots=True)
class ProxyProgress:
    """How far one proxy is.

    `serial` and `change` name the newest state of this stream that it has fully acknowledged, 0 for none yet.
    `refused` is what it did not take of that state, or of a newer one; all else of that state it took.
    `stopped`: it has not acknowledged everything, and its process is stopped, so it does nothing at all now.
    """

    connected: bool = False
    serial: int = 0
    change: int = 0
    refused: tuple[tuple[TypeUrl, ResourceName, Version], ...] = ()
    complaints: tuple[Complaint, ...] = ()
    stopped: bool = False


NO_PROGRESS = ProxyProgress()


def progress_row(progress: ProxyProgress) -> bytes:
    """One proxy's row."""
    words = tuple(replace(each, message=each.message[:LONGEST_MESSAGE]) for each in progress.complaints)
    return msgspec.msgpack.encode(replace(progress, complaints=words))


def progress_of(rows: Mapping[str, bytes]) -> dict[ProxyName, ProxyProgress]:
    """All proxies of a node. Raises msgspec.MsgspecError."""
    return {ProxyName(name): msgspec.msgpack.decode(data, type=ProxyProgress) for name, data in rows.items()}


def status_rows(statuses: Mapping[ProxyName, PodStatus]) -> dict[str, bytes]:
    """All pods of a node."""
    return {name: msgspec.msgpack.encode(status) for name, status in statuses.items()}


def statuses_of(rows: Mapping[str, bytes]) -> dict[ProxyName, PodStatus]:
    """All pods of a node. Raises msgspec.MsgspecError."""
    return {ProxyName(name): msgspec.msgpack.decode(data, type=PodStatus) for name, data in rows.items()}
