"""Analyzers beside a living mesh: never while something is to be pushed, in slices that nobody notices.

A look at all of a large mesh is not for the moment in which something changes: it waits until nothing was published
for a while, works for a few milliseconds at a time, and looks again when there is something newer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from meshwright.analyzers.scene import Scene
from meshwright.analyzers.suppression import annotated, told
from meshwright.analyzers.table import ordered, steps
from meshwright.compiler.compile import Compiler
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.origin import ObjectRef
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.snapshot import offline_snapshot

QUIET_SECONDS = 1.0  # without a publication, before anybody looks
PATIENCE_SECONDS = 15.0  # after which it looks though the mesh is never quiet
SLICE_SECONDS = 0.002
PAUSE_SECONDS = 0.006  # between two slices: a quarter of one core at most

Quiet = Mapping[ObjectRef, tuple[str, ...]]
_NOTHING: Quiet = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Analyzed:
    """What analyzers say of one moment; `quiet` are the codes that objects want not to be told."""

    findings: tuple[Diagnostic, ...] = ()
    quiet: Quiet = field(default_factory=lambda: _NOTHING)


def offline_findings(loaded: LoadedMesh) -> tuple[Diagnostic, ...]:
    """Everything that readers, compiler and analyzers say of documents, but what annotations suppress."""
    snapshot = offline_snapshot(loaded.objects, loaded.settings)
    published = Compiler().compile(snapshot)
    scene = Scene(snapshot, loaded.objects, published)
    found = [*loaded.diagnostics, *published.diagnostics]
    found += [finding for step in steps(scene) for finding in step]
    return told(ordered(found), annotated(loaded.objects))


async def look(mesh: LiveMesh) -> Analyzed:
    """The mesh as it is now, in slices; other tasks run in between."""
    assert mesh.loaded is not None, "the mesh has loaded its objects"
    objects = mesh.loaded.objects
    scene = Scene(mesh.snapshot, objects, mesh.published.value)
    found: list[Diagnostic] = []
    began = time.monotonic()
    for step in steps(scene):
        found += step
        if time.monotonic() - began > SLICE_SECONDS:
            await asyncio.sleep(PAUSE_SECONDS)
            began = time.monotonic()
    return Analyzed(ordered(found), annotated(objects))


class Analysis:
    """`run` it; `value` is the newest that is known, `then` is called when it is another one. `looks` counts them."""

    def __init__(self, mesh: LiveMesh, then: Callable[[], None]) -> None:
        self.value = Analyzed()
        self.looks = 0
        self._mesh = mesh
        self._then = then
        self._seen: tuple[LoadedMesh | None, int] = (None, 0)

    async def run(self) -> None:
        """Until cancelled: look again after each change of objects. The readiness of pods changes nothing here."""
        while True:
            published = self._mesh.published.value
            await self._calm()
            await self.refresh()
            if self._mesh.published.value is published:
                await self._mesh.published.newer_than(published)

    async def refresh(self) -> None:
        """Look now, unless the objects are those of the last look."""
        if not self._is_new():
            return
        self._seen = (self._mesh.loaded, self._mesh.steps.round)
        value = await look(self._mesh)
        self.looks += 1
        if value != self.value:
            self.value = value
            self._then()

    def _is_new(self) -> bool:
        loaded, steps = self._seen
        return self._mesh.loaded is not loaded or self._mesh.steps.round != steps

    async def _calm(self) -> None:
        """Wait until nothing was published for a moment, but not for ever."""
        late = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < late:
            before = self._mesh.published.value
            await asyncio.sleep(QUIET_SECONDS)
            if self._mesh.published.value is before:
                return
