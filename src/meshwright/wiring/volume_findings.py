"""Volumes that no container here will see: told, for nothing else would say why files are missing."""

from collections.abc import Iterable, Iterator

from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.pod import PodTemplate, VolumeType

LOOPBACK = "loopback"
OF_THE_CLUSTER = "kube-api-access-"  # every pod of a cluster has one that nobody wrote
_ADVICE = "use an emptyDir, a configMap or a secret"


def volume_findings(objects: MeshObjects, rung: str = "") -> tuple[Diagnostic, ...]:
    """One finding for each volume that is not mounted: of another type, or all of them in the rung loopback."""
    templates = (*(each.template for each in objects.deployments), *(each.template for each in objects.pods))
    return tuple(finding for template in templates for finding in _of_template(template, rung))


def _of_template(template: PodTemplate, rung: str) -> Iterator[Diagnostic]:
    mounted = _mounted(template)
    for volume in template.volumes:
        if volume.name not in mounted or volume.name.startswith(OF_THE_CLUSTER):
            continue
        if volume.type is VolumeType.OTHER:
            why = f"{volume.source} is not known here"
            yield Diagnostic(codes.NOT_MOUNTED, volume.origin, (volume.name, why, _ADVICE))
        elif rung == LOOPBACK:
            why = "the rung loopback has no file systems for pods"
            yield Diagnostic(codes.NOT_MOUNTED, volume.origin, (volume.name, why, "use a rung with namespaces"))


def _mounted(template: PodTemplate) -> set[str]:
    names: Iterable[str] = (mount.volume for container in template.all_containers for mount in container.mounts)
    return set(names)
