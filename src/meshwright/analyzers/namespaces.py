"""Namespaces that say twice how their pods are injected."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.model import codes
from meshwright.model.config import MeshNamespace
from meshwright.model.diagnostic import Diagnostic

INJECTION, REVISION, ENABLED = "istio-injection", "istio.io/rev", "enabled"


def _namespaces(scene: Scene) -> Iterable[MeshNamespace]:
    return scene.objects.namespaces


def _check(_: Scene, namespace: MeshNamespace) -> Iterator[Diagnostic]:
    labels = namespace.meta.labels
    if labels.get(INJECTION) == ENABLED and labels.get(REVISION):
        at = namespace.meta.origin.field("metadata").field("labels").field(REVISION)
        yield Diagnostic(codes.TWO_INJECTION_LABELS, at)


ANALYZER = Analyzer((codes.TWO_INJECTION_LABELS,), _namespaces, _check)
