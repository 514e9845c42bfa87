"""Memory of a mesh's processes, from /proc/PID/smaps_rollup. USS is what would be free if the process ended alone,
PSS adds its share of what it shares.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from meshwright.processes import procfs
from meshwright.processes.state import MARKER, POD_MARKER, DataDirectory, read_json

KIB = 1024
PROXY, APPLICATION, OWN = "proxy", "application", "own"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a mesh; sizes in MiB. `kind` is PROXY, APPLICATION or OWN; `pod` is empty for our own."""

    pid: int
    kind: str
    name: str
    pod: str
    pss: float
    uss: float
    rss: float


def processes(data: DataDirectory) -> list[Process]:
    """All processes that belong to the mesh of this data directory, except those of visitors (`exec`)."""
    identity = data.mesh_id()
    pids = {one.pid for one in procfs.marked_by(MARKER, identity)}
    supervisor = read_json(data.supervisor_state).get("pid")
    if isinstance(supervisor, int):
        pids.add(supervisor)
    return sorted(_read(pids, supervisor), key=lambda one: (one.kind, one.name, one.pid))


def _read(pids: Iterable[int], supervisor: object) -> Iterator[Process]:
    for pid in pids:
        sizes = sizes_of(pid)
        if sizes is None:
            continue
        environment = _environment(pid)
        pod = environment.get(POD_MARKER, "")
        command = procfs.command_of(pid)
        words = command.split()
        if pod:
            is_proxy = "/bootstrap.json" in command
            kind, name = (PROXY if is_proxy else APPLICATION), Path(words[0]).name if words else "?"
        else:
            kind, name = OWN, "supervisor" if pid == supervisor else _name(words)
        yield Process(pid, kind, name, pod, *sizes)


def _name(words: list[str]) -> str:
    """What one of our own processes is: the word after `-m PACKAGE`, or the module."""
    for number, word in enumerate(words):
        if word == "-m" and number + 1 < len(words):
            module = words[number + 1]
            follows = words[number + 2] if number + 2 < len(words) else ""
            return follows if module == "meshwright.processes" else module.rpartition(".")[2]
    return Path(words[0]).name if words else "?"


def _environment(pid: int) -> dict[str, str]:
    try:
        parts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (part.decode(errors="replace").partition("=") for part in parts if part)
    return {key: value for key, _, value in pairs}


def sizes_of(pid: int) -> tuple[float, float, float] | None:
    """PSS, USS and RSS in MiB; None when there is no such process or it has no memory (a zombie)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kib: dict[str, int] = {}
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            kib[words[0].rstrip(":")] = int(words[1])
    if "Pss" not in kib:
        return None
    return kib["Pss"] / KIB, (kib["Private_Clean"] + kib["Private_Dirty"]) / KIB, kib["Rss"] / KIB
