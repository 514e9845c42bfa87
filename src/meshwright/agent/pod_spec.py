"""A planned pod becomes the holder's PodSpec; Istio's traffic annotations become interception rules."""

from collections.abc import Iterable

from meshwright.agent.machine import PROXY_CONTAINER
from meshwright.agent.settings import AgentSettings
from meshwright.model import proxy
from meshwright.model.labels import Labels
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Container
from meshwright.processes.interception import EVERYTHING, Interception
from meshwright.processes.messages import PodSpec

_PREFIX = "traffic.sidecar.istio.io/"
_MODE = "sidecar.istio.io/interceptionMode"


class AnnotationError(ValueError):
    """An annotation of the pod cannot be followed; the text names it."""


def pod_spec(pod: PlannedPod, settings: AgentSettings) -> PodSpec:
    """How the holder is to build the pod. AnnotationError when an annotation is wrong."""
    namespace, domain = pod.meta.namespace, settings.cluster_domain
    hostname = pod.hostname
    full_name = f"{hostname}.{pod.template.subdomain}.{namespace}.svc.{domain}"
    return PodSpec(
        pod=pod.name,
        ip=pod.address,
        hostname=hostname,
        search=(f"{namespace}.svc.{domain}", f"svc.{domain}", domain),
        interception=_interception(pod, settings),
        hosts=(f"{pod.address} {full_name} {hostname}",) if pod.template.subdomain else (),
        routed=pod.role is None,
    )


def applications(pod: PlannedPod) -> tuple[Container, ...]:
    """The pod's containers but for the proxy, which Istio's injected and gateway pods list as one of them."""
    if pod.role is None:
        return pod.template.containers
    return tuple(
        container
        for container in pod.template.containers
        if container.name != PROXY_CONTAINER and not (pod.role is proxy.Role.ROUTER and container.image == "auto")
    )


def _interception(pod: PlannedPod, settings: AgentSettings) -> Interception | None:
    """Gateways and pods without a proxy are not intercepted."""
    annotations = pod.meta.annotations
    if settings.interception is proxy.Interception.NONE or pod.role is not proxy.Role.SIDECAR:
        return None
    if annotations.get(_MODE).upper() == "NONE":
        return None
    inbound = _texts(annotations, "includeInboundPorts", EVERYTHING)
    return Interception(
        include_outbound_ranges=_texts(annotations, "includeOutboundIPRanges", EVERYTHING),
        exclude_outbound_ranges=_texts(annotations, "excludeOutboundIPRanges"),
        include_outbound_ports=_ports(annotations, "includeOutboundPorts"),
        exclude_outbound_ports=_ports(annotations, "excludeOutboundPorts"),
        include_inbound_ports=EVERYTHING if "*" in inbound else _ports(annotations, "includeInboundPorts"),
        exclude_inbound_ports=_ports(annotations, "excludeInboundPorts"),
    )


def _texts(annotations: Labels, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    written = dict(annotations.pairs).get(_PREFIX + name)
    return default if written is None else tuple(_parts(written))


def _parts(text: str) -> Iterable[str]:
    return (part.strip() for part in text.split(",") if part.strip())


def _ports(annotations: Labels, name: str) -> tuple[int, ...]:
    parts = _texts(annotations, name)
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong:
        raise AnnotationError(f"annotation {_PREFIX}{name}: {wrong[0]!r} is not a port number")
    return tuple(map(int, parts))
