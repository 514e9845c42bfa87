"""What the parts of one agent share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshwright.agent.holder_link import HolderLink
from meshwright.agent.paths import PodPaths
from meshwright.agent.ports import AgentPorts
from meshwright.agent.program import References
from meshwright.agent.settings import AgentSettings
from meshwright.model.names import Milliseconds, ProxyName
from meshwright.model.planned_pod import PlannedPod
from meshwright.processes.logtimes import times_file
from meshwright.processes.state import DataDirectory

PROXY_CONTAINER = "istio-proxy"


@dataclass(frozen=True, slots=True)
class Machine:
    """`starts` bounds how many pods start at once; `clock` is the time in ms since the epoch."""

    settings: AgentSettings
    ports: AgentPorts
    link: HolderLink
    starts: asyncio.Semaphore
    clock: Callable[[], Milliseconds]

    @property
    def data(self) -> DataDirectory:
        return DataDirectory(self.settings.data_dir)

    @property
    def references(self) -> References:
        return References(self.ports.catalogue, self.ports.config_map, self.ports.secret)

    def paths(self, name: ProxyName) -> PodPaths:
        return PodPaths.of(self.settings.data_dir, self.settings.rung, name)

    @property
    def memory_folder(self) -> Path:
        """Where the pods that run are remembered: it goes when the mesh ends."""
        return self.data.run / "pods"

    def log_file(self, pod: PlannedPod, container: str) -> Path:
        """Where the output of one container is appended."""
        return self.data.logs / f"{pod.meta.namespace}_{pod.meta.name}_{container}.log"

    def log_files(self, pod: PlannedPod, container: str) -> tuple[Path, ...]:
        """That file, the one to which the holder moves what is old, and the times of its lines."""
        newest = self.log_file(pod, container)
        return newest, newest.with_name(f"{newest.name}.1"), times_file(newest)
