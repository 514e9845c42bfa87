"""Documents become scenes by the way of the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meshwright.analyzers.scene import Scene
from meshwright.analyzers.table import ordered, steps
from meshwright.compiler.compile import Compiler
from meshwright.documents.render import as_json
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.published import Published
from meshwright.wiring.loading import LoadedMesh, load
from meshwright.wiring.snapshot import offline_snapshot

MISTAKES = Path(__file__).parent / "mistakes"
CASES = tuple(sorted(MISTAKES.glob("*/in.yaml")))


@dataclass(frozen=True, slots=True)
class Analyzed:
    """Some documents with what the analyzers say of them."""

    loaded: LoadedMesh
    scene: Scene
    findings: tuple[Diagnostic, ...]


def scene_of(texts: Iterable[tuple[str, str]]) -> tuple[LoadedMesh, Scene]:
    loaded = load(texts)
    snapshot = offline_snapshot(loaded.objects, loaded.settings)
    return loaded, Scene(snapshot, loaded.objects, Compiler().compile(snapshot))


def quick_scene_of(texts: Iterable[tuple[str, str]]) -> Scene:
    """Without compiling: nobody knows the modes of ports."""
    loaded = load(texts)
    return Scene(offline_snapshot(loaded.objects, loaded.settings), loaded.objects, Published({}, {}, {}))


def analyze(scene: Scene) -> tuple[Diagnostic, ...]:
    """All steps at once."""
    return ordered(finding for found in steps(scene) for finding in found)


def analyzed(texts: Iterable[tuple[str, str]]) -> Analyzed:
    loaded, scene = scene_of(texts)
    return Analyzed(loaded, scene, analyze(scene))


def of_text(text: str) -> Analyzed:
    return analyzed([("in.yaml", text)])


def as_values(found: Analyzed) -> list[dict[str, object]]:
    """The findings as `expected.yaml` holds them."""
    told = (as_json(each, found.loaded.lines) for each in found.findings)
    return [
        {
            "code": each["code"],
            "object": "/".join(filter(None, (str(part) for part in each["object"].values()))),
            "path": each["path"],
            "line": each["line"],
            "message": each["message"],
            "fix": each["fix"],
        }
        for each in told
    ]
