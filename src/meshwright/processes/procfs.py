"""What /proc tells about processes: identity, environment, namespaces, owners of ports.

A pid alone names nothing for long; (pid, start time) does. Everything unreadable is simply absent here,
because processes of other users and processes that end while we look are normal.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process for ever: its pid and its start time in clock ticks since boot."""

    pid: int
    start_time: int


@dataclass(frozen=True, slots=True)
class PortOwner:
    """The process that listens on a port; pid 0 and an empty command when /proc does not show it to us."""

    pid: int
    command: str


def _stat_fields(pid: int, proc: int | None = None) -> list[str] | None:
    try:
        descriptor = os.open(f"{pid}/stat" if proc is not None else f"/proc/{pid}/stat", os.O_RDONLY, dir_fd=proc)
    except OSError:
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        try:
            text = file.read()
        except OSError:
            return None
    return text.rpartition(")")[2].split()


def start_time(pid: int, proc: int | None = None) -> int | None:
    """Start time of a process in clock ticks since boot; None when there is none (a zombie counts as none).

    `proc` is an open descriptor of the /proc to ask, for a process whose own view of /proc is about to change.
    """
    fields = _stat_fields(pid, proc)
    if fields is None or fields[0] in {"Z", "X"}:
        return None
    return int(fields[19])


def identify(pid: int) -> ProcessId | None:
    """The lasting identity of the process that has this pid now."""
    started = start_time(pid)
    return None if started is None else ProcessId(pid, started)


def alive(process: ProcessId) -> bool:
    """Whether exactly this process still runs."""
    return start_time(process.pid) == process.start_time


def is_stopped(process: ProcessId) -> bool:
    """Whether exactly this process is stopped (SIGSTOP, or a debugger holds it): it does nothing until it goes on."""
    fields = _stat_fields(process.pid)
    return fields is not None and fields[0] in {"T", "t"} and int(fields[19]) == process.start_time


def parent_of(pid: int) -> int | None:
    """The pid of a process's parent; None when there is no such process."""
    fields = _stat_fields(pid)
    return None if fields is None else int(fields[1])


def ended_children() -> Iterator[tuple[int, int]]:
    """Collects every child that has ended, with its wait status; to be asked at SIGCHLD."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def pids() -> Iterator[int]:
    """Every pid that /proc lists now."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - names, cheaply
        if name.isdigit():
            yield int(name)


def marked_by(variable: str, value: str, also: str = "") -> list[ProcessId]:
    """Processes started with `variable=value` in their environment, as far as we may read it.

    `also` names a further variable that must be there, whatever its value.
    """
    wanted = f"{variable}={value}".encode()
    prefix = f"{also}=".encode() if also else b""
    found: list[ProcessId] = []
    for pid in pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        entries = environment.split(b"\0")
        if wanted not in entries or not any(entry.startswith(prefix) for entry in entries):
            continue
        if (process := identify(pid)) is not None:
            found.append(process)
    return found


def in_network_namespace(inode: int) -> list[int]:
    """Pids of the processes whose network namespace has this inode number."""
    found: list[int] = []
    for pid in pids():
        try:
            if Path(f"/proc/{pid}/ns/net").stat().st_ino == inode:
                found.append(pid)
        except OSError:
            continue
    return found


def command_of(pid: int) -> str:
    """The command line of a process, at most 200 characters; empty when unreadable."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()[:200]


def pid_of_pidfd(pidfd: int) -> int | None:
    """The pid behind a pidfd as this process's /proc counts; None when it is gone or not visible from here."""
    try:
        text = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pid:"):
            pid = int(line.partition(":")[2])
            return pid if pid > 0 else None
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _has_socket(pid: int, links: set[str]) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, cheaply
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"{folder}/{name}") in links:  # noqa: PTH115 - thousands of them
                return True
        except OSError:
            continue
    return False


def owner_of_port(port: int) -> PortOwner | None:
    """Who listens on this TCP port in our network namespace; None when nobody does."""
    links = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not links:
        return None
    for pid in pids():
        if _has_socket(pid, links):
            return PortOwner(pid, command_of(pid))
    return PortOwner(0, "")
