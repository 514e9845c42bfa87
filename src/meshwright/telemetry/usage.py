"""CPU, memory and restarts of containers under the names that cadvisor and kube-state-metrics use, and of our own
processes under those of every Prometheus client.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROXY_COMMAND = "bootstrap.json"


@dataclass(frozen=True, slots=True)
class Used:
    """One process: CPU seconds so far, resident bytes."""

    cpu: float
    resident: int


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
    return Used((int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * PAGE)


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
        yield "# TYPE container_cpu_usage_seconds_total counter\n"
        for name, each in sorted(self._now.items()):
            yield f"container_cpu_usage_seconds_total{_labels(name)} {each.cpu + self._ended.get(name, 0.0):.2f}\n"
        yield "# TYPE container_memory_working_set_bytes gauge\n"
        for name, each in sorted(self._now.items()):
            yield f"container_memory_working_set_bytes{_labels(name)} {each.resident}\n"
        yield "# TYPE kube_pod_container_status_restarts_total counter\n"
        for each in self._restarts:
            name = _labels((each.namespace, each.pod, each.container))
            yield f"kube_pod_container_status_restarts_total{name} {each.count}\n"
        yield "# TYPE process_cpu_seconds_total counter\n"
        for name, each in sorted(self._own.items()):
            yield f'process_cpu_seconds_total{{process="{name}"}} {each.cpu:.2f}\n'
        yield "# TYPE process_resident_memory_bytes gauge\n"
        for name, each in sorted(self._own.items()):
            yield f'process_resident_memory_bytes{{process="{name}"}} {each.resident}\n'


def _labels(name: tuple[str, str, str]) -> str:
    namespace, pod, container = name
    return f'{{namespace="{namespace}",pod="{pod}",container="{container}"}}'
