"""Containers that nothing on this machine can run: told before the pod waits for ever."""

from collections.abc import Iterable

from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.image import Catalogue
from meshwright.model.objects import MeshObjects
from meshwright.model.pod import Container

INJECTED = "auto"  # a gateway's image, replaced on injection


def image_findings(objects: MeshObjects, catalogue: Catalogue) -> tuple[Diagnostic, ...]:
    """One finding for each container that has neither a command nor an entry in the image catalogue."""
    return tuple(
        Diagnostic(codes.NO_IMAGE_ENTRY, container.origin.field("image"), (container.image,))
        for container in _containers(objects)
        if not container.command and container.image != INJECTED and catalogue.find(container.image) is None
    )


def _containers(objects: MeshObjects) -> Iterable[Container]:
    for deployment in objects.deployments:
        yield from deployment.template.all_containers
    for pod in objects.pods:
        yield from pod.template.all_containers
