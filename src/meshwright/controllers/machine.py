"""What this machine is, as its Node object says it."""

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """`memory_kib` is all there is; `identity` tells machines apart and `boot` the times they were started."""

    hostname: str
    address: str = "127.0.0.1"
    cpus: int = 1
    memory_kib: int = 0
    kernel: str = ""
    system: str = ""
    architecture: str = ""
    identity: str = ""
    boot: str = ""


def machine_facts(address: str = "127.0.0.1") -> MachineFacts:
    """Asks the running system; what it does not tell is left empty. `address` is where the host is reached."""
    return MachineFacts(
        hostname=socket.gethostname().lower() or "localhost",
        address=address,
        cpus=len(os.sched_getaffinity(0)),
        memory_kib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024,
        kernel=platform.release(),
        system=_system_name(),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        identity=_text("/etc/machine-id"),
        boot=_text("/proc/sys/kernel/random/boot_id"),
    )


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
