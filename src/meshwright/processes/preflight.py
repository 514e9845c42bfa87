"""Before anything is started: which rung this machine allows and why, and which wanted port is taken by whom.

    report = check([8080, ("127.0.0.1", 20001)])
    print(report)

Rungs are found out by trying, not by guessing from versions. Takes well under a second.
"""

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meshwright.processes import procfs
from meshwright.processes.sandbox import RUNGS, Rung

_TRIAL_SECONDS = 10
FIRST_BASE, LAST_BASE = 9080, 60_080
FIRST_SUBORDINATE, RANGE = 100_000, 65_536
_PLACES = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class BusyPort:
    """A host port that is wanted and taken; pid 0 when we may not see by whom. `data_dir`: it is the mesh of that
    directory, whose process it is; "" for everybody else. `forbidden`: why nobody has it, and we may not, either.
    """

    host: str
    port: int
    pid: int
    command: str
    data_dir: str = ""
    forbidden: str = ""

    def __str__(self) -> str:
        if self.forbidden:
            return f"port {self.port} on {self.host} cannot be listened on: {self.forbidden}"
        if self.data_dir:
            return f"port {self.port} on {self.host} is taken by the mesh in {self.data_dir}"
        if self.pid:
            return f"port {self.port} on {self.host} is taken by process {self.pid}: {self.command or '(no name)'}"
        return f"port {self.port} on {self.host} is taken by a process that we may not see"


@dataclass(frozen=True, slots=True)
class Report:
    """What can be started here. `rung` is None when nothing can; `single_uid`: all pods share one uid."""

    rung: Rung | None
    single_uid: bool
    reasons: tuple[str, ...]
    fixes: tuple[str, ...]
    busy_ports: tuple[BusyPort, ...]

    @property
    def ok(self) -> bool:
        return self.rung is not None and not self.busy_ports

    def __str__(self) -> str:
        lines = [f"rung: {self.rung or 'none'}", *(f"  why: {reason}" for reason in self.reasons)]
        lines += [f"  busy: {busy}" for busy in self.busy_ports]
        lines += [f"  fix: {fix}" for fix in self.fixes]
        return "\n".join(lines)


def check(
    port_requests: Sequence[int | tuple[str, int]] = (),
    wanted_rung: Rung | None = None,
    *,
    single_uid: bool = False,
    platform: str = sys.platform,
) -> Report:
    """Find the best rung, or see whether the wanted one works; look at the ports (on 127.0.0.1 if only a number)."""
    if platform != "linux":
        reason = f"meshwright runs its mesh on Linux only, and this is {platform}"
        fix = "start it in a Linux machine (a virtual one, WSL 2 or a container will do); offline commands work here"
        return Report(None, single_uid=False, reasons=(reason,), fixes=(fix,), busy_ports=())
    busy = busy_ports(port_requests)
    reasons: list[str] = []
    fixes: list[str] = []
    for rung, single in _candidates(wanted_rung, single_uid=single_uid):
        if rung == "loopback":
            reasons.append("loopback: plain processes on loopback addresses; demo, not enforcing")
            return Report("loopback", single, tuple(reasons), tuple(fixes), busy)
        refusal = _try(rung, single=single)
        if not refusal:
            reasons.append(_success(rung, single=single))
            if rung == "user" and single and not single_uid:
                fixes += _range_fixes()
            return Report(rung, single, tuple(reasons), tuple(dict.fromkeys(fixes)), busy)
        reasons.append(f"{rung}{' with one uid' if rung == 'user' and single else ''}: {refusal}")
        if not (rung == "user" and not single):
            fixes += [fix for fix in _fixes(refusal) if fix not in fixes]
    return Report(None, single_uid=False, reasons=tuple(reasons), fixes=tuple(fixes), busy_ports=busy)


def busy_ports(port_requests: Sequence[int | tuple[str, int]]) -> tuple[BusyPort, ...]:
    """Those of the ports that are taken (on 127.0.0.1 if only a number)."""
    wanted = [("127.0.0.1", item) if isinstance(item, int) else item for item in port_requests]
    return tuple(taken for host, port in wanted if (taken := _busy(host, port)) is not None)


def free_base(count: int, first: int = FIRST_BASE, last: int = LAST_BASE) -> int | None:
    """The first of `first`, `first` + 1000 ... that begins `count` ports in a row of which none is taken."""
    bases = range(first, last + 1, 1000)
    return next((base for base in bases if not busy_ports([base + offset for offset in range(count)])), None)


def _candidates(wanted: Rung | None, *, single_uid: bool) -> list[tuple[Rung, bool]]:
    """Rungs to try, best first, each with whether it makes do with one uid."""
    everything: list[tuple[Rung, bool]] = [("root", False), ("user", False), ("user", True), ("loopback", True)]
    allowed = [
        item for item in everything if wanted in {None, item[0]} and not (single_uid and item == ("user", False))
    ]
    if wanted is None and os.geteuid() != 0:
        allowed.remove(("root", False))
    return allowed


def _try(rung: Rung, *, single: bool) -> str:
    """The reason why a sandbox of this kind does not work; "" when it does."""
    what = "user-single" if rung == "user" and single else rung
    missing = [tool for tool in ("ip", "nft") if not find_tool(tool)]
    if missing:
        return f"{' and '.join(missing)} not installed"
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "meshwright.processes", "trial", what],
            capture_output=True,
            check=False,
            timeout=_TRIAL_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if finished.returncode == 0:
        return ""
    said = finished.stderr.decode(errors="replace").strip()
    return said.splitlines()[-1] if said else f"the trial ended with status {finished.returncode}"


def find_tool(name: str) -> Path | None:
    """A system program, also where an ordinary user's PATH does not look."""
    for folder in _PLACES.split(":"):
        path = Path(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def _success(rung: Rung, *, single: bool) -> str:
    if rung == "root":
        return "root: namespaces, bridge and nftables work (tried)"
    if single:
        return "user: works with one uid for all pods (tried); not a security boundary between pods"
    return "user: works with the subordinate uids of /etc/subuid (tried)"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _fixes(refusal: str) -> list[str]:
    """What an administrator can do about it."""
    fixes: list[str] = []
    if "not installed" in refusal:
        fixes.append("apt-get install iproute2 nftables (or the same packages of your distribution)")
        return fixes
    fixes += [
        f"sysctl -w user.{kind}=10000 (it is 0, so that nobody may make such namespaces)"
        for kind in ("max_user_namespaces", "max_net_namespaces", "max_pid_namespaces", "max_mnt_namespaces")
        if _setting(f"user/{kind}") == "0"
    ]
    if _setting("kernel/unprivileged_userns_clone") == "0":
        fixes.append("sysctl -w kernel.unprivileged_userns_clone=1")
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        fixes.append(
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or an AppArmor profile with `userns`)"
        )
    if not fixes and "unshare" in refusal:
        fixes.append(
            "allow user namespaces here (in a container: --privileged, or a seccomp profile that has unshare)"
        )
    if not fixes and os.geteuid() != 0:
        fixes.append("run it as root")
    return fixes


def _range_fixes() -> list[str]:
    fixes: list[str] = []
    if not (find_tool("newuidmap") and find_tool("newgidmap")):
        fixes.append("for a uid of its own for every pod: apt-get install uidmap")
    first = free_range()
    both = f"{first}-{first + RANGE - 1}"
    fixes.append(
        f"for a uid of its own for every pod, once as root: usermod --add-subuids {both} "
        f"--add-subgids {both} {uid_name(os.getuid())}"
    )
    return fixes


def free_range(etc: Path = Path("/etc")) -> int:
    """The first id of a range of `RANGE` that no user and no group has been given yet, uids and gids alike."""
    taken = [given for name in ("subuid", "subgid") for given in _ranges(etc / name)]
    return max((start + count for start, count in taken), default=FIRST_SUBORDINATE)


def _ranges(file: Path) -> list[tuple[int, int]]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    parts = [line.split("#")[0].strip().split(":") for line in lines]
    return [(int(p[1]), int(p[2])) for p in parts if len(p) == 3 and p[1].isdecimal() and p[2].isdecimal()]


def uid_name(uid: int) -> str:
    """The user's name, else the number."""
    import pwd  # not there on every system, and check() must be able to say so

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _busy(host: str, port: int) -> BusyPort | None:
    """Whether a port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except PermissionError:
            return BusyPort(host, port, 0, "", forbidden=f"ports below 1024 are not for uid {os.geteuid()}")
        except OSError:
            owner = procfs.owner_of_port(port)
            if owner is None:
                return BusyPort(host, port, 0, "")
            return BusyPort(host, port, owner.pid, owner.command, _mesh_of(owner.pid))
    return None


def _mesh_of(pid: int) -> str:
    """The data directory of the mesh to which a process belongs, if it is one of ours; else ""."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if "-m" not in words or "--data" not in words[:-1]:
        return ""
    module = words[words.index("-m") + 1]
    return words[words.index("--data") + 1] if module.partition(".")[0] == "meshwright" else ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="meshwright-preflight", description=__doc__)
    parser.add_argument("--rung", choices=RUNGS)
    parser.add_argument("--port", type=int, action="append", default=[])
    given = parser.parse_args(argv)
    report = check(given.port, given.rung)
    sys.stdout.write(f"{report}\n")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
