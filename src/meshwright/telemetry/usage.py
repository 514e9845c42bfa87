"""CPU, memory and restarts of containers under the names that cadvisor and kube-state-metrics use, and of our own
processes under those of every Prometheus client.
"""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from meshwright.telemetry.instruments import Counter, Gauge

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CONTAINER = ("namespace", "pod", "container")


@dataclass(frozen=True, slots=True)
class Used:
    """One process: CPU seconds so far, bytes of memory, when it started (seconds since 1970), open descriptors."""

    cpu: float
    resident: int
    virtual: int = 0
    started: float = 0.0
    descriptors: int = 0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a container was started again."""

    namespace: str
    pod: str
    container: str
    count: int


def used(pid: int) -> Used | None:
    """What a process has used; None when it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    descriptors = 0
    with contextlib.suppress(OSError):  # a process of another user, which has gone or keeps them to itself
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    cpu, started = (int(fields[11]) + int(fields[12])) / TICK, _boot() + int(fields[19]) / TICK
    return Used(cpu, int(fields[21]) * PAGE, int(fields[20]), started, descriptors)


def _boot() -> float:
    """When the kernel started."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Usage:
    """Feed it with what runs (`take`); `text` is the exposition. CPU seconds of processes that ended stay counted."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[tuple[str, str, str], float]] = {}
        self._ended: dict[tuple[str, str, str], float] = defaultdict(float)
        self._now: dict[tuple[str, str, str], Used] = {}
        self._own: dict[str, Used] = {}
        self._restarts: tuple[Restarts, ...] = ()

    def take(
        self,
        containers: Mapping[int, tuple[str, str, str]],
        own: Mapping[int, str],
        restarts: Iterable[Restarts],
    ) -> None:
        """`containers`: namespace, pod and container of each process; `own`: the names of our processes, by pid."""
        found = {pid: amount for pid in (*containers, *own) if (amount := used(pid)) is not None}
        for pid, (container, cpu) in self._seen.items():
            if pid not in found or containers.get(pid) != container or found[pid].cpu < cpu:
                self._ended[container] += cpu
        self._seen = {pid: (name, found[pid].cpu) for pid, name in containers.items() if pid in found}
        now: dict[tuple[str, str, str], Used] = {}
        for pid, name in containers.items():
            if pid in found:
                before = now.get(name, Used(0.0, 0))
                now[name] = Used(before.cpu + found[pid].cpu, before.resident + found[pid].resident)
        living = {(namespace, pod) for namespace, pod, _ in now}
        self._ended = defaultdict(float, {name: cpu for name, cpu in self._ended.items() if name[:2] in living})
        self._now = now
        self._own = {name: found[pid] for pid, name in own.items() if pid in found}
        self._restarts = tuple(restarts)

    def text(self) -> str:
        """For Prometheus."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        cpu = Counter("container_cpu_usage_seconds_total", "CPU seconds of a container.", CONTAINER)
        memory = Gauge("container_memory_working_set_bytes", "Resident bytes of a container.", CONTAINER)
        for name, each in self._now.items():
            cpu.add(*name, amount=each.cpu + self._ended.get(name, 0.0))
            memory.set(each.resident, *name)
        restarts = Counter(
            "kube_pod_container_status_restarts_total", "How often a container was started again.", CONTAINER
        )
        for one in self._restarts:
            restarts.add(one.namespace, one.pod, one.container, amount=one.count)
        for instrument in (cpu, memory, restarts, *self._processes()):
            yield from instrument.lines()

    def _processes(self) -> tuple[Counter, ...]:
        label = ("process",)
        cpu = Counter("process_cpu_seconds_total", "CPU seconds of a process of the mesh itself.", label)
        resident = Gauge("process_resident_memory_bytes", "Its resident bytes.", label)
        virtual = Gauge("process_virtual_memory_bytes", "Its address space.", label)
        started = Gauge("process_start_time_seconds", "When it started, in seconds since 1970.", label)
        descriptors = Gauge("process_open_fds", "Its open file descriptors.", label)
        for name, each in self._own.items():
            cpu.add(name, amount=each.cpu)
            resident.set(each.resident, name)
            virtual.set(each.virtual, name)
            started.set(round(each.started, 2), name)
            descriptors.set(each.descriptors, name)
        return cpu, resident, virtual, started, descriptors
