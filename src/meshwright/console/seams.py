"""What the console is handed: where its values come from, and who answers its questions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meshwright.asynctools.latest import Latest

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""One operation of the running mesh. Raises MeshRefusesError, MeshAwayError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the last requests: of one edge (its id), or of all; of the request whose id begins with `request`;
    only errors. At most `most`.
    """

    most: int
    edge: str = ""
    request: str = ""
    failed: bool = False


class MeshAwayError(Exception):
    """The control plane does not answer."""


class MeshRefusesError(Exception):
    """The control plane does not do that; the text says why, and `said` the same as {key, values} (None: only the
    text is there).
    """

    def __init__(self, text: str, said: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.said = said


@dataclass(frozen=True, slots=True)
class Seams:
    """`graph` gives the live graph, which is another one whenever `news` is; `past` that of the last so many
    seconds; `requests` the last requests, newest first. `mesh` is its name for
    people, `ingress` the URL of its gateway on this machine.
    """

    graph: Callable[[], dict[str, Any]]
    past: Callable[[float], dict[str, Any]]
    requests: Callable[[Wanted], list[dict[str, Any]]]
    news: Latest[int]
    ask: Ask
    token: str
    mesh: str
    ingress: str
    version: str
    allowed_hosts: frozenset[str]
