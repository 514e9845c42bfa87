"""The run file: what a supervisor is to start. Written by the CLI, read once by the supervisor."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meshwright.processes import network, state
from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.sandbox import RUNGS, Rung

DEFAULT_SUBNET = "10.244.0.0/16"


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """One program to keep running. `env` is added to the supervisor's; it gets `stop_seconds` after SIGTERM."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str = ""
    stop_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The sandbox and the programs, started in this order and stopped in the reverse one."""

    rung: Rung
    single_uid: bool = False
    subnet: str = DEFAULT_SUBNET
    children: tuple[ChildPlan, ...] = ()

    @staticmethod
    def read(path: Path) -> "RunPlan":
        """From a file. ValueError that names the field when something is wrong with it."""
        fields = Fields(state.read_json(path))
        try:
            rung = _rung(fields.text("rung"))
            children = tuple(_child(Fields(item)) for item in fields.items("children"))
            subnet = fields.text("subnet", DEFAULT_SUBNET)
            network.Subnet.parse(subnet)
            return RunPlan(rung, fields.flag("single_uid", default=False), subnet, children)
        except (BadRequest, AttributeError) as error:
            raise ValueError(f"{path}: {error}") from None

    def write(self, path: Path) -> None:
        """To a file that `read` understands."""
        value: dict[str, Any] = asdict(self)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.write_json(path, value)


def _rung(text: str) -> Rung:
    for rung in RUNGS:
        if rung == text:
            return rung
    raise BadRequest(f"rung is one of {', '.join(RUNGS)}")


def _child(fields: Fields) -> ChildPlan:
    seconds = fields.values.get("stop_seconds", 10.0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequest("stop_seconds must be a number")
    argv = fields.texts("argv")
    if not argv:
        raise BadRequest("argv is empty")
    return ChildPlan(fields.name(), argv, fields.mapping("env"), fields.text("cwd", ""), float(seconds))
