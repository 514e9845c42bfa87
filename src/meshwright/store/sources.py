"""Where time and chance come from: handed in, so that decisions can be repeated."""

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from meshwright.store.names import EpochMilliseconds, Uid

# without vowels and look-alikes, as generated names go through human hands
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Sources:
    """The clock, new uids, and the random ends of generated names."""

    now: Callable[[], EpochMilliseconds]
    uid: Callable[[], Uid]
    suffix: Callable[[], str]


def system_sources() -> Sources:
    """The machine's own."""
    return Sources(
        now=lambda: EpochMilliseconds(time.time_ns() // 1_000_000),
        uid=lambda: Uid(str(uuid.uuid4())),
        suffix=lambda: "".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LENGTH)),
    )


def timestamp(moment: EpochMilliseconds) -> str:
    """As Kubernetes writes times: UTC, whole seconds."""
    return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
