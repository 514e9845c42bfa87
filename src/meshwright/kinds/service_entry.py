"""ServiceEntry documents: each host becomes a service."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, PORT, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.protocols import ProtocolName, protocol_of
from meshwright.kinds.schema import ANYTHING, UINT32, Enum, Integer, ListOf, MapOf, Object, Text
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber
from meshwright.model.protocol import Protocol
from meshwright.model.service import Registry, Resolution, Service, ServicePort, StaticEndpoint

_EXTERNAL = "MESH_EXTERNAL"
_BY_ADDRESS = (Resolution.STATIC, Resolution.NONE)


def _resolution(spec: Fields) -> Resolution:
    return Resolution(spec.text("resolution", Resolution.NONE))


def _hosts(spec: Fields) -> Iterator[Diagnostic]:
    """No bare `*`; a wildcard cannot be looked up in DNS."""
    resolution, origin = _resolution(spec), spec.origin.field("hosts")
    for index, host in enumerate(spec.texts("hosts")):
        if host == "*":
            yield Diagnostic(codes.BAD_FORMAT, origin.item(index), ('"*"', "a host", "*.example.com"))
        elif "*" in host and resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN) and not spec.raw("endpoints"):
            wanted = f"a host that DNS can look up (resolution {resolution})"
            yield Diagnostic(codes.BAD_FORMAT, origin.item(index), (f'"{host}"', wanted, "api.example.com"))


def _addresses(spec: Fields) -> Iterator[Diagnostic]:
    resolution, origin = _resolution(spec), spec.origin.field("addresses")
    for index, address in enumerate(spec.texts("addresses")):
        if "/" in address and resolution not in _BY_ADDRESS:
            wanted = f"a single address (resolution {resolution} takes no ranges)"
            yield Diagnostic(codes.BAD_FORMAT, origin.item(index), (f'"{address}"', wanted, "10.0.0.1"))


def _endpoints(spec: Fields) -> Iterator[Diagnostic]:
    """What an endpoint may be depends on the resolution."""
    resolution, origin = _resolution(spec), spec.origin.field("endpoints")
    endpoints = list(spec.items("endpoints"))
    names = {port.text("name") for port in spec.items("ports")}
    if resolution in (Resolution.NONE, Resolution.DYNAMIC_DNS) and endpoints:
        wanted = f"possible with resolution {resolution}"
        yield Diagnostic(codes.BAD_FORMAT, origin, ("endpoints", wanted, "resolution: STATIC or DNS"))
    if resolution is Resolution.DNS_ROUND_ROBIN and len(endpoints) > 1:
        yield Diagnostic(codes.OUT_OF_RANGE, origin, (f"a list of {len(endpoints)}", "0..1 with DNS_ROUND_ROBIN"))
    for endpoint in endpoints:
        address = endpoint.text("address")
        if resolution is Resolution.STATIC and not (formats.is_ip(address) or address.startswith("unix://")):
            wanted = "an IP address (resolution STATIC looks nothing up)"
            args = (f'"{address}"', wanted, "10.0.0.1")
            yield Diagnostic(codes.BAD_FORMAT, endpoint.origin.field("address"), args)
        for key in _keys(endpoint):
            if key not in names:
                known = ", ".join(sorted(names)) or "none"
                args = (f'"{key}"', f"the names of the service's ports ({known})", "use the name of a port")
                yield Diagnostic(codes.UNKNOWN_VALUE, endpoint.origin.field("ports").field(key), args)


def _keys(endpoint: Fields) -> tuple[str, ...]:
    ports = endpoint.raw("ports")
    return tuple(ports) if isinstance(ports, dict) else ()


def _ports_once(spec: Fields) -> Iterator[Diagnostic]:
    seen: set[int | None] = set()
    for port in spec.items("ports"):
        number = port.number("number")
        if number in seen:
            yield Diagnostic(codes.DUPLICATE, port.origin.field("number"), (f"port {number}",))
        seen.add(number)


_SPEC = Object(
    fields={
        "hosts": ListOf(Text(formats.WILDCARD_HOST, empty=False), least=1, most=256),
        "addresses": ListOf(Text(formats.CIDR, empty=False), most=256),
        "ports": ListOf(
            Object(
                fields={
                    "number": PORT,
                    "name": Text(formats.PORT_NAME, empty=False),
                    "protocol": ProtocolName(udp=True),
                    "targetPort": PORT,
                },
                required={"number": "e.g. 443", "name": "e.g. https"},
            ),
            most=256,
            unique="name",
        ),
        "location": Enum((_EXTERNAL, "MESH_INTERNAL")),
        "resolution": Enum(tuple(Resolution)),
        "endpoints": ListOf(
            Object(
                fields={
                    "address": Text(formats.ENDPOINT_ADDRESS, empty=False),
                    "ports": MapOf(PORT, formats.PORT_NAME),
                    "labels": LABELS,
                    "locality": Text(),
                    "network": Text(),
                    "weight": Integer(0, UINT32),
                    "serviceAccount": Text(formats.NAME),
                },
                required={"address": "an IP address or host name"},
            ),
            most=4096,
        ),
        "workloadSelector": Object(fields={"labels": LABELS}),
        "subjectAltNames": ListOf(Text(empty=False)),
        "exportTo": ListOf(Text(formats.EXPORT_TARGET, empty=False)),
    },
    required={"hosts": "a list of host names"},
    one_of=(("endpoints", "workloadSelector"),),
    rules=(_hosts, _addresses, _endpoints, _ports_once),
)
SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": _SPEC, "status": ANYTHING},
    required={"spec": "an object with `hosts` and `ports`"},
)


def read(root: Fields, meta: Meta, names: Names) -> tuple[Service, ...]:
    """One service per host; they share everything else."""
    spec = root.child_or_empty("spec")
    ports = tuple(_read_port(fields) for fields in spec.items("ports"))
    endpoints = tuple(_read_endpoint(fields) for fields in spec.items("endpoints"))
    return tuple(
        Service(
            meta=meta,
            host=Hostname(host.lower()),
            ports=ports,
            registry=Registry.EXTERNAL,
            resolution=_resolution(spec),
            addresses=spec.texts("addresses"),
            selector=Labels.of(spec.child_or_empty("workloadSelector").pairs("labels")),
            endpoints=endpoints,
            mesh_external=spec.text("location", _EXTERNAL) == _EXTERNAL,
            subject_alt_names=spec.texts("subjectAltNames"),
            export_to=names.export_to(spec.texts("exportTo")),
        )
        for host in dict.fromkeys(spec.texts("hosts"))
    )


def _read_port(fields: Fields) -> ServicePort:
    return ServicePort(
        number=PortNumber(fields.number_or("number", 0)),
        name=fields.text("name"),
        protocol=protocol_of(fields.text("protocol")) or Protocol.TCP,
        origin=fields.origin,
        target=fields.number("targetPort"),
    )


def _read_endpoint(fields: Fields) -> StaticEndpoint:
    ports = fields.raw("ports")
    numbers = ports if isinstance(ports, dict) else {}
    return StaticEndpoint(
        address=fields.text("address"),
        origin=fields.origin,
        ports=tuple(sorted((name, PortNumber(int(str(number)))) for name, number in numbers.items())),
        labels=Labels.of(fields.pairs("labels")),
        weight=fields.number_or("weight", 1) or 1,
        service_account=fields.text("serviceAccount"),
        locality=fields.text("locality"),
    )
