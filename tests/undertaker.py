"""What a pytest process started goes when that process is killed: a `kill -9` runs no fixture's end.

`watched` starts this file as a program beside pytest. Everything that pytest starts inherits a mark in its
environment; when pytest has gone, the program stops the meshes that bear the mark (with their data), and kills what
else does.
"""

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "MESHWRIGHT_TESTS"
BOUND_SECONDS = 90.0  # after which it gives up; killed meshes are gone in a few
QUIET_SECONDS = 1.0  # without anybody who bears the mark: who is about to be started is seen by then
PARTS = ("meshwright.processes", "meshwright.wiring")  # a mesh is stopped in order, not killed


def mark() -> dict[str, str]:
    """For programs that a test starts with an environment of their own."""
    value = os.environ.get(VARIABLE)
    return {} if value is None else {VARIABLE: value}


@contextmanager
def watched() -> Generator[None]:
    """Whatever this process starts from now on is ended when it is killed."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = secrets.token_hex(8)
    words = [sys.executable, str(Path(__file__).resolve()), str(os.getpid()), os.environ[VARIABLE]]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        del os.environ[VARIABLE]
        os.environ.update({} if before is None else {VARIABLE: before})


# ------------------------------------------------------------ the program


def outlive(pid: int) -> None:
    """Return when that process, which is our parent, has gone."""
    descriptor = os.pidfd_open(pid)
    if os.getppid() == pid:
        select.select([descriptor], [], [])


def bury(value: str) -> None:
    """End everything with this mark; at most BOUND_SECONDS."""
    end, quiet = time.monotonic() + BOUND_SECONDS, 0.0
    while quiet < QUIET_SECONDS and time.monotonic() < end:
        found = bearers(value)
        quiet = 0.0 if found else quiet + 0.1
        others = [pid for pid, words in found.items() if not any(part in words for part in PARTS)]
        kill(others)
        if not others:
            for folder in {data_of(words) for words in found.values()} - {None}:
                stop(str(folder))
            kill(bearers(value))
        time.sleep(0.1)


def bearers(value: str) -> dict[int, list[str]]:
    """Who bears the mark, with the words that it was started with; not ourselves."""
    wanted, found = f"{VARIABLE}={value}".encode(), dict[int, list[str]]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    found.pop(os.getpid(), None)
    return found


def data_of(words: list[str]) -> str | None:
    """The data directory of a process of a mesh."""
    return words[words.index("--data") + 1] if "--data" in words[:-1] else None


def stop(folder: str) -> None:
    program = [sys.executable, "-m", "meshwright.cli.main", "down", "--data", folder, "--purge"]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(program, check=False, capture_output=True, timeout=60, env=environment)


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    outlive(int(sys.argv[1]))
    bury(sys.argv[2])
