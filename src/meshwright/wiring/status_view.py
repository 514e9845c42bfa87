"""The living mesh as `status` sees it."""

from collections.abc import Sequence

from meshwright.asynctools.latest import Latest
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.published import Published
from meshwright.status.sources import Swap
from meshwright.store.names import Key
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.store_follower import StoreFollower

Findings = tuple[Diagnostic, ...]


class StatusView:
    """What was published, what was found, and a way to publish with other texts."""

    def __init__(self, mesh: LiveMesh, follower: StoreFollower) -> None:
        self._mesh = mesh
        self._follower = follower
        self._parts: tuple[Findings, Findings] = ((), ())
        self._joined: Findings = ()

    @property
    def published(self) -> Latest[Published]:
        return self._mesh.published

    def findings(self) -> Findings:
        """Of readers and compiler; the same tuple as long as both say the same."""
        loaded = self._mesh.loaded
        parts = ((), ()) if loaded is None else (loaded.diagnostics, self._mesh.published.value.diagnostics)
        if parts != self._parts:
            self._parts = parts
            self._joined = parts[0] + parts[1]
        return self._joined

    def swap(self, swaps: Sequence[Swap]) -> frozenset[Key]:
        return self._follower.swap(swaps)
