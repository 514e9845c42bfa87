"""Pod templates: images and objects that nobody provides.

Objects are missed only where some of their kind are there: who has left all Secrets out of the documents knows it.
"""

from collections.abc import Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.analyzers.templates import Template, templates
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.pod import VolumeType

REPLACED = "auto"
EVERYWHERE = frozenset({"default"})
MADE_FOR_ALL = frozenset({"kube-root-ca.crt", "istio-ca-root-cert"})


def _check(scene: Scene, template: Template) -> Iterator[Diagnostic]:
    spec = template.at.field("spec")
    namespace = template.meta.namespace
    account, known = template.value.service_account, scene.objects.service_accounts
    accounts = {each.meta.name for each in known if each.meta.namespace == namespace}
    if known and account and account not in accounts | EVERYWHERE:
        at = spec.field("serviceAccountName")
        yield Diagnostic(codes.UNKNOWN_SERVICE_ACCOUNT, at, (account, namespace))
    if not any(load.is_gateway for load in scene.picked(namespace, template.value.labels)):
        for container in template.value.containers:
            if container.image == REPLACED and not _asks_gateway(template):
                yield Diagnostic(codes.IMAGE_NOT_REPLACED, container.origin.field("image"))
    yield from _volumes(scene, template)


def _asks_gateway(template: Template) -> bool:
    return "gateway" in template.value.annotations.get("inject.istio.io/templates").split(",")


def _volumes(scene: Scene, template: Template) -> Iterator[Diagnostic]:
    namespace = template.meta.namespace
    for volume in template.value.volumes:
        if volume.optional or not volume.source or volume.source in MADE_FOR_ALL:
            continue
        if volume.type is VolumeType.CONFIG_MAP:
            there, kind = scene.objects.config_maps, "ConfigMap"
        elif volume.type is VolumeType.SECRET:
            there, kind = scene.objects.secrets, "Secret"
        else:
            continue
        if there and not any((each.meta.namespace, each.meta.name) == (namespace, volume.source) for each in there):
            shown = f"{kind} {namespace}/{volume.source}"
            yield Diagnostic(codes.UNKNOWN_VOLUME_SOURCE, volume.origin, (shown,))


ANALYZER = Analyzer(
    (codes.UNKNOWN_SERVICE_ACCOUNT, codes.IMAGE_NOT_REPLACED, codes.UNKNOWN_VOLUME_SOURCE), templates, _check
)
