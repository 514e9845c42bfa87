"""VirtualService `http[].match[]`."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, PORT
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import Flag, ListOf, MapOf, Object, Text, Unsupported
from meshwright.kinds.string_match import STRING_MATCH, optional_match, read_match
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.names import Namespace, PortNumber
from meshwright.model.request_match import RequestMatch
from meshwright.model.string_match import StringMatch

_CLAIM = "@request.auth.claims"
_CONDITIONS = formats.Format(
    "a header name", "end-user", lambda text: text.startswith(_CLAIM) or formats.HEADER_NAME.matches(text)
)


def _claims(fields: Fields) -> Iterator[Diagnostic]:
    """Conditions on JWT claims: the whole condition block is left out, since it would match too much without."""
    for name in ("headers", "withoutHeaders"):
        for key, condition in fields.entries(name):
            if key.startswith(_CLAIM):
                yield Diagnostic(
                    codes.NOT_SUPPORTED, condition.origin, (f"a match on {key}", "the match with it is left out")
                )


HTTP_MATCH = Object(
    fields={
        "name": Text(),
        "uri": STRING_MATCH,
        "scheme": STRING_MATCH,
        "method": STRING_MATCH,
        "authority": STRING_MATCH,
        "headers": MapOf(STRING_MATCH, _CONDITIONS, nullable=True),
        "withoutHeaders": MapOf(STRING_MATCH, _CONDITIONS, nullable=True),
        "queryParams": MapOf(STRING_MATCH, nullable=True),
        "ignoreUriCase": Flag(),
        "port": PORT,
        "sourceLabels": LABELS,
        "sourceNamespace": Text(formats.LABEL),
        "gateways": ListOf(Text(formats.GATEWAY, empty=False)),
        "statPrefix": Unsupported("requests are counted per destination"),
    },
    rules=(_claims,),
)


def read_matches(rule: Fields, names: Names) -> tuple[RequestMatch, ...] | None:
    """The conditions of a rule; None when the rule has conditions and none of them can be used."""
    matches = tuple(_read(fields, names) for fields in rule.items("match") if not any(_claims(fields)))
    return None if rule.raw("match") and not matches else matches


def _read(fields: Fields, names: Names) -> RequestMatch:
    port, space = fields.number("port"), fields.text("sourceNamespace")
    return RequestMatch(
        origin=fields.origin,
        name=fields.text("name"),
        uri=optional_match(fields.child("uri")),
        ignore_uri_case=fields.flag("ignoreUriCase"),
        scheme=optional_match(fields.child("scheme")),
        method=optional_match(fields.child("method")),
        authority=optional_match(fields.child("authority")),
        headers=_conditions(fields, "headers"),
        without_headers=_conditions(fields, "withoutHeaders"),
        query_params=_conditions(fields, "queryParams"),
        port=None if port is None else PortNumber(port),
        source_labels=Labels.of(fields.pairs("sourceLabels")),
        source_namespace=Namespace(space) if space else None,
        gateways=names.gateways(fields.texts("gateways")) if fields.raw("gateways") else None,
    )


def _conditions(fields: Fields, name: str) -> tuple[tuple[str, StringMatch], ...]:
    return tuple(sorted((key, read_match(condition)) for key, condition in fields.entries(name)))
