"""Where a pod's Envoy and the agent meet: one folder per pod, seen from both sides.

In a sandbox Envoy finds the folder of its pod at a fixed place, so that paths in its configuration are the same
for every pod and short enough for socket addresses. It works in that folder; without a sandbox its paths are relative
to it: a socket address holds 107 bytes, and the agent's own path to a gateway's socket may be longer.
"""

from dataclasses import dataclass
from pathlib import Path

from meshwright.agent.settings import Rung
from meshwright.model.names import ProxyName
from meshwright.processes.sandbox import INSIDE
from meshwright.processes.state import DataDirectory


@dataclass(frozen=True, slots=True)
class PodFolder:
    """The files of one pod below `root`."""

    root: Path

    @property
    def bootstrap(self) -> Path:
        return self.root / "bootstrap.json"

    @property
    def xds_socket(self) -> Path:
        return self.root / "xds.sock"

    @property
    def admin_socket(self) -> Path:
        return self.root / "admin.sock"

    @property
    def records(self) -> Path:
        """Where Envoy writes a line for each request (`compiler.features.metrics.requests.RECORDS`)."""
        return self.root / "requests.log"

    @property
    def flows(self) -> Path:
        """Where it writes lines of open connections (`model.metric_tags.FLOWS`)."""
        return self.root / "flows.log"

    @property
    def ingress(self) -> Path:
        """The folder of a gateway's listener sockets."""
        return self.root / "ingress"

    def ingress_socket(self, listener_port: int) -> Path:
        """The twin of a gateway's listener."""
        return self.ingress / f"{listener_port}.sock"


@dataclass(frozen=True, slots=True)
class PodPaths:
    """`here` as the agent sees it, `inside` as the pod's Envoy does from its working directory, `working_dir`."""

    here: PodFolder
    inside: PodFolder
    working_dir: Path

    @classmethod
    def of(cls, data_dir: Path, rung: Rung, name: ProxyName) -> "PodPaths":
        """The paths of a pod; they depend on nothing but the arguments."""
        here = DataDirectory(data_dir).pod(name)
        if rung is Rung.LOOPBACK:
            return cls(PodFolder(here), PodFolder(Path()), here)
        return cls(PodFolder(here), PodFolder(INSIDE), INSIDE)
