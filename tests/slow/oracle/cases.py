"""What the generator is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One stream of the generator: what it asks, and the end of each series that it must be counted in."""

    name: str
    kind: str
    target: str
    count: int
    more: Mapping[str, Any]

    def spec(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "target": self.target, "count": self.count, **self.more}


def http_case(name: str, target: str, count: int, **more: Any) -> Case:
    return Case(name, "http", target, count, more)


def grpc_case(name: str, target: str, count: int, status: int) -> Case:
    return Case(name, "grpc", target, count, {"method": f"/calls/{status}"})


def stream_case(name: str, count: int, messages: int, answers: int) -> Case:
    """Each message is answered with so many."""
    return Case(name, "stream", "others:9000", count, {"method": f"/streams/{answers}", "messages": messages})


def tcp_case(name: str, count: int, size: int, **more: Any) -> Case:
    return Case(name, "tcp", "others:7000", count, {"bytes": size, **more})
