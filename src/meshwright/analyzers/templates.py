"""What pods are made of: templates of Deployments, and pods that were written one by one."""

from collections.abc import Iterator
from dataclasses import dataclass

from meshwright.analyzers.scene import Scene
from meshwright.model.meta import Meta
from meshwright.model.origin import Origin
from meshwright.model.pod import PodTemplate

MADE_BY_CONTROLLERS = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True, slots=True)
class Template:
    """A pod template of an object; `at` is where its `metadata` and `spec` stand."""

    meta: Meta
    at: Origin
    value: PodTemplate


def templates(scene: Scene) -> Iterator[Template]:
    """Each once: pods that a controller made of a template say nothing new."""
    for deployment in scene.objects.deployments:
        yield Template(deployment.meta, deployment.meta.origin.field("spec").field("template"), deployment.template)
    for pod in scene.objects.pods:
        if not any(pod.template.labels.get(label) for label in MADE_BY_CONTROLLERS):
            yield Template(pod.meta, pod.meta.origin, pod.template)
