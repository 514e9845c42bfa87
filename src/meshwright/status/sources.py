"""What `status` needs of the mesh around it: narrow views, so that either end can be another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from meshwright.asynctools.latest import Latest
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.node.progress import ProxyProgress
from meshwright.store.names import Key


class Proxies(Protocol):
    """How far proxies are: `node.server.NodeServer` is one."""

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever anything moved."""
        ...

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        """Every published proxy."""
        ...


class Receipt(Protocol):
    """Whom a change affects."""

    @property
    def affected(self) -> tuple[ProxyName, ...]:
        """They get other bytes by it."""
        ...


class Receipts(Protocol):
    """What became of changes: `wiring.receipts.Receipts` is one."""

    def of(self, change: int) -> Receipt | None:
        """None when it is not known (any more)."""
        ...

    def publication_of(self, change: int) -> int | None:
        """The first publication that holds this change; None while there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Swap:
    """Let the mesh read `after` instead of `before` (what it reads now; None: nothing), until the next version."""

    key: Key
    before: bytes | None
    after: bytes | None


class Compiled(Protocol):
    """What the mesh makes of its objects."""

    @property
    def published(self) -> Latest[Published]:
        """The newest publication."""
        ...

    def findings(self) -> tuple[Diagnostic, ...]:
        """What readers and compiler say, as of the newest publication; the same tuple while nothing changed."""
        ...

    def swap(self, swaps: Sequence[Swap]) -> frozenset[Key]:
        """Publish anew with other texts; which of them fitted."""
        ...
