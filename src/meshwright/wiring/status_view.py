"""The living mesh as `status` sees it."""

from collections.abc import Callable, Sequence

from meshwright.analyzers.suppression import told
from meshwright.asynctools.latest import Latest
from meshwright.model.diagnostic import Diagnostic, Effect
from meshwright.model.published import Published
from meshwright.status.sources import Swap
from meshwright.store.names import Key
from meshwright.wiring.analysis import Analyzed
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.store_follower import StoreFollower

Findings = tuple[Diagnostic, ...]


class StatusView:
    """What was published, what was found, and a way to publish with other texts."""

    def __init__(self, mesh: LiveMesh, follower: StoreFollower, analyzed: Callable[[], Analyzed] = Analyzed) -> None:
        self._mesh = mesh
        self._follower = follower
        self._analyzed = analyzed
        self._parts: tuple[Findings, Findings, Analyzed] = ((), (), Analyzed())
        self._joined: Findings = ()

    @property
    def published(self) -> Latest[Published]:
        return self._mesh.published

    def findings(self) -> Findings:
        """Of readers, compiler and, a while after a change, analyzers, without notes that annotations suppress; the
        same tuple as long as all say the same.
        """
        loaded = self._mesh.loaded
        if loaded is None:
            return ()
        parts = (loaded.diagnostics, self._mesh.published.value.diagnostics, self._analyzed())
        if parts != self._parts:
            self._parts = parts
            found = parts[0] + parts[1] + parts[2].findings
            self._joined = tuple(
                each for each in found if each.code.effect is not Effect.NOTED or told((each,), parts[2].quiet)
            )
        return self._joined

    def swap(self, swaps: Sequence[Swap]) -> frozenset[Key]:
        return self._follower.swap(swaps)
