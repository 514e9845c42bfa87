"""What an agent is told about its machine, and its few numbers."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from meshwright.model.names import Milliseconds
from meshwright.model.proxy import Interception


class Rung(StrEnum):
    """How pods are kept apart on this machine."""

    ROOT = "root"  # namespaces, a uid per pod
    USER = "user"  # the same inside one user namespace
    LOOPBACK = "loopback"  # addresses of 127.0.0.0/8 only; "demo, not enforcing"


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a container that ended waits for its next start.

    The first restart waits `first`, each further one twice as long, at most `most`; a container that ran for
    `reset_after` starts from `first` again.
    """

    first: Milliseconds = Milliseconds(1_000)
    most: Milliseconds = Milliseconds(60_000)
    reset_after: Milliseconds = Milliseconds(600_000)


def same_address(address: str) -> str:
    """Applications listen on the pod's own address wherever there are namespaces."""
    return address


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`node_name` and `host_address` are what the downward API shows as spec.nodeName and status.hostIP.

    `drain_time`: how long a pod that leaves waits for its clients before its applications are told to end.
    `keep_time`: how long connections live on whose listener (or its chain) was changed or removed.
    `ready_timeout`: an Envoy that is not ready by then is started anew. `application_address` maps a pod's address
    to the one its application listens on (another one in the rung `loopback`).
    """

    data_dir: Path
    rung: Rung
    interception: Interception
    envoy_path: Path
    python: str = sys.executable
    node_name: str = "meshwright"
    host_address: str = "127.0.0.1"
    proxy_log_level: str = "warning"
    drain_time: Milliseconds = Milliseconds(5_000)
    keep_time: Milliseconds = Milliseconds(300_000)
    parallel_starts: int = 4
    back_off: BackOff = BackOff()
    ready_timeout: Milliseconds = Milliseconds(15_000)
    application_address: Callable[[str], str] = same_address
    cluster_domain: str = "cluster.local"
