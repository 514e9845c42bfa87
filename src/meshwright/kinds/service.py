"""Kubernetes Service documents."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, PORT, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.protocols import protocol_of_port
from meshwright.kinds.schema import ANYTHING, Enum, Flag, Integer, ListOf, NumberOrName, Object, Text
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber
from meshwright.model.service import Resolution, Service, ServicePort

EXPORT_ANNOTATION = "networking.istio.io/exportTo"
_HEADLESS = "None"
_OTHERS = frozenset({
    "externalIPs", "externalTrafficPolicy", "internalTrafficPolicy", "trafficDistribution", "loadBalancerIP",
    "loadBalancerClass", "loadBalancerSourceRanges", "healthCheckNodePort", "allocateLoadBalancerNodePorts",
    "ipFamilies", "ipFamilyPolicy",
})  # fmt: skip


def _consistent(spec: Fields) -> Iterator[Diagnostic]:
    """Several ports need names; an ExternalName its name; the others ports or None as address."""
    ports = list(spec.items("ports"))
    origin = spec.origin
    if len(ports) > 1:
        for port in ports:
            if not port.text("name"):
                example = "a name, since the service has several ports"
                yield Diagnostic(codes.MISSING_FIELD, port.origin.field("name"), ("`name`", example))
    seen: set[tuple[int | None, str]] = set()
    for port in ports:
        key = (port.number("port"), port.text("protocol", "TCP"))
        if key in seen:
            yield Diagnostic(codes.DUPLICATE, port.origin.field("port"), (f"port {key[0]}",))
        seen.add(key)
    if spec.text("type") == "ExternalName":
        if not spec.text("externalName"):
            example = "the host it stands for"
            yield Diagnostic(codes.MISSING_FIELD, origin.field("externalName"), ("`externalName`", example))
    elif not ports and spec.text("clusterIP") != _HEADLESS:
        yield Diagnostic(codes.MISSING_FIELD, origin.field("ports"), ("`ports`", "e.g. - port: 9080"))


_SPEC = Object(
    fields={
        "type": Enum(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
        "selector": LABELS,
        "clusterIP": Text(formats.CLUSTER_IP),
        "clusterIPs": ListOf(Text(formats.CLUSTER_IP)),
        "externalName": Text(formats.HOST),
        "ports": ListOf(
            Object(
                fields={
                    "name": Text(formats.PORT_NAME),
                    "port": PORT,
                    "targetPort": NumberOrName(formats.CONTAINER_PORT_NAME),
                    "protocol": Enum(("TCP", "UDP", "SCTP")),
                    "appProtocol": Text(),
                    "nodePort": Integer(0, 65535),
                },
                required={"port": "the number that clients use, e.g. 9080"},
            ),
            unique="name",
        ),
        "publishNotReadyAddresses": Flag(),
        "sessionAffinity": Enum(("None", "ClientIP")),
        "sessionAffinityConfig": Object(fields={"clientIP": Object(fields={"timeoutSeconds": Integer(1, 86_400)})}),
    },
    others=_OTHERS,
    rules=(_consistent,),
)
SCHEMA = Object(
    fields={
        "apiVersion": Text(),
        "kind": Text(),
        "metadata": metadata(formats.SERVICE_NAME),
        "spec": _SPEC,
        "status": ANYTHING,
    },
    required={"spec": "an object with `selector` and `ports`"},
)


def read(root: Fields, meta: Meta, names: Names) -> tuple[Service]:
    """The checked document as a model value."""
    spec = root.child_or_empty("spec")
    headless = spec.text("clusterIP") == _HEADLESS
    external = spec.text("externalName") if spec.text("type") == "ExternalName" else ""
    addresses = spec.texts("clusterIPs") or (spec.text("clusterIP"),)
    service = Service(
        meta=meta,
        host=names.service(meta.name),
        ports=tuple(_read_port(fields) for fields in spec.items("ports")),
        resolution=Resolution.NONE if headless else Resolution.STATIC,
        addresses=tuple(address for address in addresses if address not in ("", _HEADLESS)),
        selector=Labels.of(spec.pairs("selector")),
        headless=headless,
        alias_of=names.host(external) if external else None,
        export_to=names.export_to(_export_targets(meta)),
        publish_not_ready=spec.flag("publishNotReadyAddresses"),
    )
    return (service,)


def _export_targets(meta: Meta) -> tuple[str, ...]:
    text = meta.annotations.get(EXPORT_ANNOTATION)
    return tuple(target.strip() for target in text.split(",") if target.strip())


def _read_port(fields: Fields) -> ServicePort:
    number = fields.number_or("port", 0)
    name = fields.text("name")
    return ServicePort(
        number=PortNumber(number),
        name=name,
        protocol=protocol_of_port(number, name, fields.text("appProtocol"), fields.text("protocol", "TCP")),
        origin=fields.origin,
        target=fields.number_or_text("targetPort"),
    )
