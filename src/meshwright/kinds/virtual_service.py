"""VirtualService documents."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.destinations import DESTINATION, weights_of
from meshwright.kinds.fields import Fields
from meshwright.kinds.http_rule import HTTP_RULE, read_http_rule, read_weighted
from meshwright.kinds.metadata import LABELS, PORT, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import ANYTHING, Integer, ListOf, Object, Text, Unsupported
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Namespace, PortNumber
from meshwright.model.virtual_service import MESH_GATEWAY, StreamMatch, StreamRule, VirtualService

_ROUTE = ListOf(
    Object(
        fields={"destination": DESTINATION, "weight": Integer()},
        required={"destination": "an object with `host`"},
    )
)
_CONDITIONS = {
    "port": PORT,
    "destinationSubnets": ListOf(Text(formats.CIDR, empty=False)),
    "sourceLabels": LABELS,
    "sourceNamespace": Text(formats.LABEL),
    "gateways": ListOf(Text(formats.GATEWAY, empty=False)),
}
_TCP_RULE = Object(
    fields={
        "match": ListOf(Object(fields={**_CONDITIONS, "sourceSubnet": Unsupported("use sourceLabels")})),
        "route": _ROUTE,
    },
    required={"route": "a list with `destination`"},
    rules=(weights_of,),
)
_TLS_RULE = Object(
    fields={
        "match": ListOf(
            Object(
                fields={**_CONDITIONS, "sniHosts": ListOf(Text(formats.WILDCARD_HOST, empty=False), least=1)},
                required={"sniHosts": "a list of host names"},
            ),
            least=1,
        ),
        "route": _ROUTE,
    },
    required={"match": "a list with `sniHosts`", "route": "a list with `destination`"},
    rules=(weights_of,),
)


def _has_rules(spec: Fields) -> Iterator[Diagnostic]:
    if not any(spec.raw(name) for name in ("http", "tcp", "tls")):
        yield Diagnostic(codes.MISSING_FIELD, spec.origin.field("http"), ("`http`", "a list of rules (or tls, tcp)"))


def _hosts(spec: Fields) -> Iterator[Diagnostic]:
    """Hosts stand once; `*` is for gateways only."""
    hosts, gateways = spec.texts("hosts"), spec.texts("gateways")
    origin = spec.origin.field("hosts")
    for index, host in enumerate(hosts):
        if host in hosts[:index]:
            yield Diagnostic(codes.DUPLICATE, origin.item(index), (f"host {host}",))
        if host == "*" and (not gateways or MESH_GATEWAY in gateways):
            wanted, example = "a host that sidecars can route", "reviews, or bind `gateways` to a Gateway only"
            yield Diagnostic(codes.BAD_FORMAT, origin.item(index), ('"*"', wanted, example))


_SPEC = Object(
    fields={
        "hosts": ListOf(Text(formats.WILDCARD_HOST, empty=False), least=1),
        "gateways": ListOf(Text(formats.GATEWAY, empty=False)),
        "exportTo": ListOf(Text(formats.EXPORT_TARGET, empty=False)),
        "http": ListOf(HTTP_RULE),
        "tcp": ListOf(_TCP_RULE),
        "tls": ListOf(_TLS_RULE),
    },
    required={"hosts": "a list with the service's name"},
    rules=(_has_rules, _hosts),
)
SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": _SPEC, "status": ANYTHING},
    required={"spec": "an object with `hosts` and `http`"},
)


def read(root: Fields, meta: Meta, names: Names) -> tuple[VirtualService]:
    """The checked document as a model value."""
    spec = root.child_or_empty("spec")
    rules = (read_http_rule(fields, names) for fields in spec.items("http"))
    service = VirtualService(
        meta=meta,
        hosts=tuple(names.host(host) for host in spec.texts("hosts")),
        gateways=names.gateways(spec.texts("gateways")) or (MESH_GATEWAY,),
        http=tuple(rule for rule in rules if rule is not None),
        tcp=tuple(_stream_rule(fields, names) for fields in spec.items("tcp")),
        tls=tuple(_stream_rule(fields, names) for fields in spec.items("tls")),
        export_to=names.export_to(spec.texts("exportTo")),
    )
    return (service,)


def _stream_rule(fields: Fields, names: Names) -> StreamRule:
    matches = tuple(_stream_match(match, names) for match in fields.items("match"))
    return StreamRule(fields.origin, matches, read_weighted(fields, names))


def _stream_match(fields: Fields, names: Names) -> StreamMatch:
    port, space = fields.number("port"), fields.text("sourceNamespace")
    return StreamMatch(
        origin=fields.origin,
        port=None if port is None else PortNumber(port),
        sni_hosts=fields.texts("sniHosts"),
        destination_subnets=fields.texts("destinationSubnets"),
        source_labels=Labels.of(fields.pairs("sourceLabels")),
        source_namespace=Namespace(space) if space else None,
        gateways=names.gateways(fields.texts("gateways")) if fields.raw("gateways") else None,
    )
