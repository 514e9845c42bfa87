"""The operation `analyze` of a running mesh's socket: everything that is known to be wrong, with lines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from meshwright.analyzers.suppression import told
from meshwright.analyzers.table import ordered
from meshwright.analyzers.templates import MADE_BY_CONTROLLERS
from meshwright.documents.lines import Lines
from meshwright.documents.render import as_json
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.processes.messages import Fields
from meshwright.wiring.analysis import look
from meshwright.wiring.image_findings import image_findings
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.volume_findings import volume_findings

Find = Callable[[frozenset[ObjectRef]], Awaitable[Mapping[ObjectRef, Lines]]]


def analyze_operation(mesh: LiveMesh, find: Find) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """Answers {findings: [...]}; one look at a time, however many ask."""
    turn = asyncio.Lock()

    async def answer(fields: Fields) -> dict[str, Any]:
        del fields
        async with turn:
            found = await _findings(mesh)
        lines = await find(frozenset(each.origin.object for each in found))
        return {"findings": [as_json(each, lines.get(each.origin.object, Lines())) for each in found]}

    return answer


async def _findings(mesh: LiveMesh) -> tuple[Diagnostic, ...]:
    """Of readers, compiler and analyzers, and what this machine cannot run or mount."""
    loaded, published = mesh.loaded, mesh.published.value
    if loaded is None:
        return ()
    analyzed = await look(mesh)
    here = (*image_findings(loaded.objects, loaded.catalogue), *volume_findings(loaded.objects, mesh.rung))
    found = (*loaded.diagnostics, *published.diagnostics, *analyzed.findings, *_once(here, loaded.objects))
    return told(ordered(found), analyzed.quiet)


def _once(findings: Iterable[Diagnostic], objects: MeshObjects) -> Iterable[Diagnostic]:
    """Without those of pods that a controller made of a template, of which the same is said."""
    made = {
        pod.meta.ref for pod in objects.pods if any(pod.template.labels.get(label) for label in MADE_BY_CONTROLLERS)
    }
    return (finding for finding in findings if finding.origin.object not in made)
