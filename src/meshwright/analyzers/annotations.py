"""Annotations of Istio's domains: names that do not exist, places where they mean nothing, values that cannot be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.analyzers.templates import templates
from meshwright.kinds import proxy_config
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.origin import Origin

POD, SERVICE, ENTRY, NAMESPACE, GATEWAY, ANY = "Pod", "Service", "ServiceEntry", "Namespace", "Gateway", ""
_TRAFFIC = (
    "includeOutboundIPRanges", "excludeOutboundIPRanges", "includeInboundPorts", "excludeInboundPorts",
    "includeOutboundPorts", "excludeOutboundPorts", "excludeInterfaces", "kubevirtInterfaces",
)  # fmt: skip
_SIDECAR = (
    "proxyImage", "proxyImageType", "proxyCPU", "proxyCPULimit", "proxyMemory", "proxyMemoryLimit", "userVolume",
    "userVolumeMount", "nativeSidecar", "bootstrapOverride", "inject", "status", "rewriteAppHTTPProbers",
    "interceptionMode", "logLevel", "componentLogLevel", "agentLogLevel", "discoveryAddress", "statsHistogramBuckets",
    "statsHistogramBins", "statsFlushInterval", "statsEvictionInterval", "statsInclusionPrefixes",
    "statsInclusionSuffixes", "statsInclusionRegexps", "extraStatTags", "statsCompression", "controlPlaneAuthPolicy",
    "enableCoreDump",
)  # fmt: skip
_READINESS = ("initialDelaySeconds", "periodSeconds", "failureThreshold", "applicationPorts")
KNOWN: Mapping[str, tuple[str, ...]] = {
    **{f"traffic.sidecar.istio.io/{name}": (POD,) for name in _TRAFFIC},
    **{f"sidecar.istio.io/{name}": (POD,) for name in _SIDECAR},
    **{f"readiness.status.sidecar.istio.io/{name}": (POD,) for name in _READINESS},
    "status.sidecar.istio.io/port": (POD,),
    "proxy.istio.io/config": (POD,),
    "proxy.istio.io/overrides": (POD,),
    "inject.istio.io/templates": (POD,),
    "prometheus.istio.io/merge-metrics": (POD,),
    "istio.io/reroute-virtual-interfaces": (POD,),
    "networking.istio.io/exportTo": (SERVICE,),
    "networking.istio.io/traffic-distribution": (SERVICE, ENTRY, NAMESPACE),
    "networking.istio.io/service-type": (GATEWAY,),
    "istio.io/use-waypoint-canary-weight": (SERVICE, ENTRY, NAMESPACE),
    "topology.istio.io/controlPlaneClusters": (NAMESPACE,),
    "alpha.istio.io/kubernetes-serviceaccounts": (SERVICE,),
    "alpha.istio.io/canonical-serviceaccounts": (SERVICE,),
    "traffic.istio.io/nodeSelector": (SERVICE,),
    "galley.istio.io/analyze-suppress": (ANY,),
    "istio.io/rev": (ANY,),
    "istio.io/dry-run": (ANY,),
}
"""Annotation -> the kinds that it means something on."""
OURS = "meshwright.dev"
_MADE = ("internal.istio.io/", "ambient.istio.io/", "gateway.istio.io/", "install.operator.istio.io/")
"""Written by Istio's own controllers and installers."""
_FLAG = ("true", "false")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "sidecar.istio.io/inject": _FLAG,
    "sidecar.istio.io/rewriteAppHTTPProbers": _FLAG,
    "sidecar.istio.io/nativeSidecar": _FLAG,
    "sidecar.istio.io/interceptionMode": ("REDIRECT", "TPROXY", "NONE"),
    "prometheus.istio.io/merge-metrics": _FLAG,
}
_ROLLED = ("Deployment", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Annotated:
    """The annotations at one place; `kind` is what they are on, `shown` how a sentence calls it."""

    kind: str
    shown: str
    at: Origin
    annotations: Labels


def _annotated(scene: Scene) -> Iterator[Annotated]:
    objects = scene.objects
    for each in (
        *objects.namespaces, *objects.virtual_services, *objects.destination_rules, *objects.gateways,
        *objects.peer_authentications, *objects.services, *objects.deployments,
    ):  # fmt: skip
        kind = each.meta.ref.kind
        yield Annotated(kind, kind, each.meta.origin.field("metadata").field("annotations"), each.meta.annotations)
    for template in templates(scene):
        at = template.at.field("metadata").field("annotations")
        yield Annotated(POD, POD, at, template.value.annotations)


def _check(_: Scene, annotated: Annotated) -> Iterator[Diagnostic]:
    for name, value in annotated.annotations.pairs:
        if name.partition("/")[0].endswith(OURS) or name.startswith(_MADE):
            continue
        at = annotated.at.field(name)
        kinds = KNOWN.get(name)
        if kinds is None:
            near = get_close_matches(name, KNOWN, n=1)
            yield Diagnostic(
                codes.UNKNOWN_ANNOTATION, at, (name, f"did you mean {near[0]}?" if near else "remove it")
            )
        elif ANY not in kinds and annotated.kind not in kinds:
            place = "spec.template.metadata" if POD in kinds and annotated.kind in _ROLLED else " or ".join(kinds)
            yield Diagnostic(codes.ANNOTATION_MISPLACED, at, (name, annotated.shown, place))
        elif value not in _VALUES.get(name, (value,)):
            yield Diagnostic(codes.ANNOTATION_VALUE, at, (name, f'"{value}"', " or ".join(_VALUES[name])))
        elif name in (proxy_config.ANNOTATION, *proxy_config.OLD):
            yield from proxy_config.problems(name, value, at)


ANALYZER = Analyzer(
    (codes.UNKNOWN_ANNOTATION, codes.ANNOTATION_MISPLACED, codes.ANNOTATION_VALUE), _annotated, _check
)
