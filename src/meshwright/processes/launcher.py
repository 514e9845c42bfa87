"""From a fork of the holder to the program it was asked to run: namespace, view, identity, rights, exec.

The order is the point. Mounts need rights, so they come before those are dropped; a change of uid clears the
parent-death signal, so that one is set after it; everything that can fail is reported to the parent through a pipe
that a successful exec closes.
"""

import fcntl
import os
import resource
import select
import signal
import socket
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from meshwright.processes import mounts, syscalls

_PATIENCE_SECONDS = 20.0
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LaunchError(Exception):
    """The program could not be started; the text says at which step and why."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One program to start. `streams` are descriptors for 0, 1 and 2; None means /dev/null.

    `namespace` is a network namespace to enter, `uid` the identity to take (also as gid; None: stay as we are).
    `joined` is the folder of another process's namespaces, whose file systems and host name it shares instead of a
    `view` of its own. `capabilities` are the only ones it keeps. `terminal`: descriptor 0 becomes its controlling
    terminal.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str = "/"
    streams: tuple[int | None, int | None, int | None] = (None, None, None)
    namespace: Path | None = None
    hostname: str = ""
    view: mounts.View | None = None
    joined: Path | None = None
    uid: int | None = None
    capabilities: frozenset[int] = frozenset()
    confined: bool = True
    hide_processes: bool = False
    terminal: bool = False
    umask: int = 0o022
    inherit: tuple[int, ...] = ()


def launch(spec: Launch) -> int:
    """Start the program; its pid. Must be called from the main thread. LaunchError when a step fails."""
    report, tell = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(spec, parent, tell)
    os.close(tell)
    try:
        text = _read_report(report, pid)
    finally:
        os.close(report)
    if text:
        os.waitpid(pid, 0)
        raise LaunchError(text)
    return pid


def _read_report(report: int, pid: int) -> str:
    """What the child reports until it has become the program (then: nothing)."""
    pieces: list[bytes] = []
    while True:
        ready, _, _ = select.select([report], [], [], _PATIENCE_SECONDS)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            return f"the start took longer than {_PATIENCE_SECONDS:.0f} s"
        piece = os.read(report, 4096)
        if not piece:
            return b"".join(pieces).decode(errors="replace")
        pieces.append(piece)


def _child(spec: Launch, parent: int, tell: int) -> NoReturn:
    step = ["start"]
    try:
        _become(spec, parent, tell, step)
    except BaseException as error:  # noqa: BLE001 - this process must end here whatever happens
        os.write(tell, f"{step[0]}: {error}".encode()[:4000])
    os._exit(127)


def _become(spec: Launch, parent: int, tell: int, step: list[str]) -> None:
    _settle_streams(spec, {tell})
    step[0] = "namespaces"
    if spec.namespace is not None:
        enter_network(spec.namespace)
    if spec.view is not None:
        syscalls.unshare(syscalls.CLONE_NEWNS | (syscalls.CLONE_NEWUTS if spec.hostname else 0))
        if spec.hostname:
            socket.sethostname(spec.hostname[:64])
        step[0] = "file system"
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
        mounts.apply(spec.view)
        if spec.hide_processes:
            mounts.mount_proc(hide_others=True)
    if spec.joined is not None:
        _join(spec.joined)
    step[0] = "rights"
    _raise_file_limit()
    if spec.confined:
        _drop_rights(spec)
    os.umask(spec.umask)
    step[0] = "parent"
    syscalls.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError("the holder ended meanwhile")
    step[0] = f"working directory {spec.cwd}"
    os.chdir(spec.cwd)
    step[0] = spec.argv[0]
    _reset_signals()
    for descriptor in spec.inherit:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - its only form
    os.execve(find_program(spec.argv[0], spec.env), list(spec.argv), spec.env)  # noqa: S606 - no shell wanted


def _settle_streams(spec: Launch, keep: set[int]) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    # Copies above the standard three first, or one stream could overwrite the source of the next.
    copies = [fcntl.fcntl(null if fd is None else fd, fcntl.F_DUPFD, 10) for fd in spec.streams]
    for target, copy in enumerate(copies):
        os.dup2(copy, target, inheritable=True)
    if spec.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    kept = sorted({2, *keep, *spec.inherit})
    for low, high in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, high)


def enter_network(namespace: Path) -> None:
    """Put the calling process into the network namespace that is mounted at a path."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
    finally:
        os.close(descriptor)


def _join(namespaces: Path) -> None:
    """Share host name and file systems of another process; the working directory becomes the root of those."""
    kinds = (("uts", syscalls.CLONE_NEWUTS), ("mnt", syscalls.CLONE_NEWNS))
    opened = [(os.open(namespaces / name, os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in kinds]
    for descriptor, kind in opened:
        syscalls.setns(descriptor, kind)
        os.close(descriptor)


def _drop_rights(spec: Launch) -> None:
    syscalls.limit_bounding_set(spec.capabilities)
    if spec.uid is not None:
        if spec.capabilities:
            syscalls.keep_capabilities_over_setuid()
        os.setgroups([])
        os.setresgid(spec.uid, spec.uid, spec.uid)
        os.setresuid(spec.uid, spec.uid, spec.uid)
    syscalls.set_capabilities(spec.capabilities)
    syscalls.set_no_new_privileges()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _reset_signals() -> None:
    """Python ignores some signals and ignored ones stay ignored over exec; the program starts with defaults."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def find_program(name: str, env: dict[str, str]) -> str:
    """The path that `name` means with the PATH of `env`; FileNotFoundError when it means none."""
    if "/" in name:
        return name
    for folder in env.get("PATH", DEFAULT_PATH).split(":"):
        candidate = os.path.join(folder, name)  # noqa: PTH118 - a plain string for exec
        if os.access(candidate, os.X_OK) and not Path(candidate).is_dir():
            return candidate
    raise FileNotFoundError(f"program {name} not found in PATH")


def our_programs() -> tuple[Path, ...]:
    """The folders that a Python program of ours needs to run: interpreter, environment, this package."""
    return tuple({Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), package_root()})


def package_root() -> Path:
    """The folder to put on PYTHONPATH for a program of ours."""
    return Path(__file__).resolve().parents[2]
