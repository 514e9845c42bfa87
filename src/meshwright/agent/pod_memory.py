"""What an agent writes down of each pod, so that its successor knows it again and restarts nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from meshwright.agent.container import ContainerMemory
from meshwright.model.names import Milliseconds, ProxyName
from meshwright.processes.state import read_json, write_json


@dataclass(frozen=True, slots=True)
class PodMemory:
    """`fingerprint` says which plan runs; `ready` whether the pod served when this was written."""

    fingerprint: str
    ready: bool = False
    proxy_ready: bool = False
    started: Milliseconds = Milliseconds(0)
    grace: Milliseconds = Milliseconds(30_000)
    containers: tuple[tuple[str, ContainerMemory], ...] = field(default=())

    def container(self, name: str) -> ContainerMemory | None:
        return dict(self.containers).get(name)


class Memories:
    """One small file per pod in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: ProxyName) -> Path:
        return self._folder / f"{name}.json"

    def write(self, name: ProxyName, memory: PodMemory) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        containers = {
            key: {"ready": value.ready, "restarts": value.restarts, "begun": value.begun}
            for key, value in memory.containers
        }
        write_json(
            self._file(name),
            {
                "fingerprint": memory.fingerprint,
                "ready": memory.ready,
                "proxy_ready": memory.proxy_ready,
                "started": memory.started,
                "grace": memory.grace,
                "containers": containers,
            },
        )

    def read(self, name: ProxyName) -> PodMemory | None:
        """The memory of a pod, None when there is none or the file is damaged."""
        value = read_json(self._file(name))
        try:
            containers = cast("dict[str, dict[str, Any]]", value["containers"])
            return PodMemory(
                fingerprint=str(value["fingerprint"]),
                ready=bool(value["ready"]),
                proxy_ready=bool(value["proxy_ready"]),
                started=Milliseconds(int(value["started"])),
                grace=Milliseconds(int(value["grace"])),
                containers=tuple(
                    (
                        name,
                        ContainerMemory(bool(item["ready"]), int(item["restarts"]), bool(item.get("begun", True))),
                    )
                    for name, item in containers.items()
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def names(self) -> set[ProxyName]:
        """The pods of which there is a memory."""
        return {ProxyName(path.stem) for path in self._folder.glob("*.json")}

    def forget(self, name: ProxyName) -> None:
        self._file(name).unlink(missing_ok=True)
