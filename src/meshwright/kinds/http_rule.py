"""VirtualService `http[]`: what is done with the requests that match."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.destinations import DESTINATION, read_destination, weights_of
from meshwright.kinds.fault import FAULT, read_fault
from meshwright.kinds.fields import Fields
from meshwright.kinds.http_match import HTTP_MATCH, read_matches
from meshwright.kinds.naming import Names
from meshwright.kinds.percentage import PERCENTAGE, share_of
from meshwright.kinds.retries import RETRIES, read_retry
from meshwright.kinds.schema import (
    MAX_PORT,
    Duration,
    Enum,
    Integer,
    ListOf,
    MapOf,
    Object,
    Text,
    Unsupported,
)
from meshwright.kinds.string_match import REGEX
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.direct_response import DirectResponse
from meshwright.model.header_operations import HeaderChanges, HeaderOperations
from meshwright.model.mirror import Mirror
from meshwright.model.names import PartsPerMillion
from meshwright.model.redirect import DerivePort, Redirect
from meshwright.model.rewrite import RegexRewrite, Rewrite
from meshwright.model.virtual_service import HttpRule, WeightedDestination

_ALL = PartsPerMillion(1_000_000)
_MEBIBYTE = 1 << 20
REDIRECT_CODES = (301, 302, 303, 307, 308)

_HEADER_CHANGES = Object(
    fields={
        "set": MapOf(Text(), formats.HEADER_NAME, nullable=True),
        "add": MapOf(Text(), formats.HEADER_NAME, nullable=True),
        "remove": ListOf(Text(formats.HEADER_NAME, empty=False)),
    }
)
HEADERS = Object(fields={"request": _HEADER_CHANGES, "response": _HEADER_CHANGES})


def _redirect(fields: Fields) -> Iterator[Diagnostic]:
    if not any(fields.has(name) for name in ("uri", "prefixRewrite", "authority", "scheme", "port", "redirectCode")):
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field("uri"), ("`uri`", "the new path, or an authority"))
    code = fields.number("redirectCode")
    if code is not None and code not in REDIRECT_CODES:
        choices = ", ".join(str(known) for known in REDIRECT_CODES)
        origin = fields.origin.field("redirectCode")
        yield Diagnostic(codes.UNKNOWN_VALUE, origin, (str(code), choices, f"use one of {choices}"))


_REDIRECT = Object(
    fields={
        "uri": Text(),
        "prefixRewrite": Text(),
        "authority": Text(),
        "scheme": Enum(("http", "https"), ("",)),
        "port": Integer(1, MAX_PORT),
        "derivePort": Enum(("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
        "redirectCode": Integer(),
    },
    one_of=(("uri", "prefixRewrite"), ("port", "derivePort")),
    rules=(_redirect,),
)
_DIRECT_RESPONSE = Object(
    fields={
        "status": Integer(200, 599),
        "body": Object(
            fields={"string": Text(longest=_MEBIBYTE), "bytes": Text(formats.BASE64, longest=_MEBIBYTE * 4 // 3)},
            one_of=(("string", "bytes"),),
        ),
    },
    required={"status": "e.g. 503"},
)
_REWRITE = Object(
    fields={
        "uri": Text(),
        "authority": Text(),
        "uriRegexRewrite": Object(
            fields={"match": REGEX, "rewrite": Text()},
            required={"match": "an RE2 expression", "rewrite": "the new path"},
        ),
    },
    one_of=(("uri", "uriRegexRewrite"),),
)
_ROUTE = Object(
    fields={"destination": DESTINATION, "weight": Integer(), "headers": HEADERS},
    required={"destination": "an object with `host`"},
)
_MIRROR = Object(
    fields={"destination": DESTINATION, "percentage": PERCENTAGE},
    required={"destination": "an object with `host`"},
)


def _action(fields: Fields) -> Iterator[Diagnostic]:
    """One of route, redirect and direct response answers."""
    chosen = [name for name in ("route", "redirect", "directResponse") if _is_set(fields, name)]
    if not chosen and not fields.has("delegate"):
        example = "a list with `destination`, or a redirect or directResponse"
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field("route"), ("`route`", example))
    if len(chosen) > 1:
        yield Diagnostic(codes.ONE_OF, fields.origin.field(chosen[1]), ("route, redirect, directResponse",))
    yield from weights_of(fields)


def _is_set(fields: Fields, name: str) -> bool:
    return fields.has(name) and fields.raw(name) != []


HTTP_RULE = Object(
    fields={
        "name": Text(),
        "match": ListOf(HTTP_MATCH),
        "route": ListOf(_ROUTE),
        "redirect": _REDIRECT,
        "directResponse": _DIRECT_RESPONSE,
        "delegate": Unsupported("write the delegate's rules here"),
        "rewrite": _REWRITE,
        "timeout": Duration(),
        "retries": RETRIES,
        "fault": FAULT,
        "mirror": DESTINATION,
        "mirrors": ListOf(_MIRROR),
        "mirrorPercentage": PERCENTAGE,
        "mirrorPercent": Integer(0, 100),
        "mirror_percent": Integer(0, 100),
        "corsPolicy": Unsupported("set the CORS headers with `headers.response`"),
        "headers": HEADERS,
    },
    one_of=(("mirror", "mirrors"),),
    rules=(_action,),
)


def read_http_rule(fields: Fields, names: Names) -> HttpRule | None:
    """One rule; None when it cannot act (its delegate or all its matches are not supported)."""
    matches = read_matches(fields, names)
    if matches is None or not any(_is_set(fields, name) for name in ("route", "redirect", "directResponse")):
        return None
    return HttpRule(
        origin=fields.origin,
        name=fields.text("name"),
        matches=matches,
        route=read_weighted(fields, names),
        redirect=_read_redirect(fields.child("redirect")),
        direct_response=_read_direct_response(fields.child("directResponse")),
        rewrite=_read_rewrite(fields.child("rewrite")),
        timeout=fields.duration("timeout"),
        retry=read_retry(fields.child("retries")),
        fault=read_fault(fields.child("fault")),
        mirrors=_read_mirrors(fields, names),
        headers=read_headers(fields.child("headers")),
    )


def read_weighted(rule: Fields, names: Names) -> tuple[WeightedDestination, ...]:
    """The destinations of a rule; a single one without weight gets all."""
    entries = list(rule.items("route"))
    return tuple(
        WeightedDestination(
            destination=read_destination(fields.child_or_empty("destination"), names),
            weight=fields.number_or("weight", 0) or (100 if len(entries) == 1 else 0),
            headers=read_headers(fields.child("headers")),
            origin=fields.origin,
        )
        for fields in entries
    )


def read_headers(fields: Fields | None) -> HeaderOperations:
    if fields is None:
        return HeaderOperations()
    return HeaderOperations(_changes(fields.child("request")), _changes(fields.child("response")))


def _changes(fields: Fields | None) -> HeaderChanges:
    if fields is None:
        return HeaderChanges()
    return HeaderChanges(
        set=tuple(sorted(fields.pairs("set").items())),
        add=tuple(sorted(fields.pairs("add").items())),
        remove=tuple(sorted(set(fields.texts("remove")))),
    )


def _read_redirect(fields: Fields | None) -> Redirect | None:
    if fields is None:
        return None
    derive = fields.text("derivePort")
    return Redirect(
        uri=fields.text("uri") or None,
        prefix_rewrite=fields.text("prefixRewrite") or None,
        authority=fields.text("authority") or None,
        scheme=fields.text("scheme") or None,
        port=fields.number("port"),
        derive_port=DerivePort(derive) if derive else None,
        code=fields.number_or("redirectCode", REDIRECT_CODES[0]),
    )


def _read_direct_response(fields: Fields | None) -> DirectResponse | None:
    if fields is None:
        return None
    body = fields.child_or_empty("body")
    return DirectResponse(fields.number_or("status", 0), body.optional_text("string"), body.optional_text("bytes"))


def _read_rewrite(fields: Fields | None) -> Rewrite | None:
    if fields is None:
        return None
    regex = fields.child("uriRegexRewrite")
    return Rewrite(
        uri=fields.text("uri") or None,
        authority=fields.text("authority") or None,
        uri_regex=None if regex is None else RegexRewrite(regex.text("match"), regex.text("rewrite")),
    )


def _read_mirrors(fields: Fields, names: Names) -> tuple[Mirror, ...]:
    """`mirror` with its percentage (newest spelling first), or `mirrors`."""
    mirror = fields.child("mirror")
    if mirror is not None:
        return (Mirror(read_destination(mirror, names), _mirror_share(fields), mirror.origin),)
    return tuple(
        Mirror(
            read_destination(entry.child_or_empty("destination"), names),
            _ALL if share is None else share,
            entry.origin,
        )
        for entry in fields.items("mirrors")
        for share in [share_of(entry.child("percentage"))]
    )


def _mirror_share(fields: Fields) -> PartsPerMillion:
    share = share_of(fields.child("mirrorPercentage"))
    for name in ("mirrorPercent", "mirror_percent"):
        percent = fields.number(name)
        if share is None and percent is not None:
            share = PartsPerMillion(percent * 10_000)
    return _ALL if share is None else share
