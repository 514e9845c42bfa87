"""VirtualService `http[].fault`."""

from collections.abc import Iterator

from meshwright.documents.document import Value
from meshwright.kinds.fields import Fields
from meshwright.kinds.percentage import PERCENTAGE, share_of
from meshwright.kinds.place import Place
from meshwright.kinds.schema import Duration, Integer, Object, Run, Unsupported, suggest
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.fault import Delay, Fault, GrpcAbort, HttpAbort
from meshwright.model.names import PartsPerMillion

GRPC_STATUS = {name: number for number, name in enumerate((
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
))}  # fmt: skip


class _GrpcStatus:
    """A status by name (upper case) or as a number in quotes."""

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, str) and status_number(value) is not None:
            return
        if isinstance(value, str):
            meant = suggest(value, GRPC_STATUS)
            fix = f"did you mean {meant}?" if meant else "use a name such as UNAVAILABLE"
            run.report(codes.UNKNOWN_VALUE, place, run.quote(value), "the gRPC status names", fix)
        else:
            run.wrong_type(place, "a gRPC status name", value, "write its name, e.g. UNAVAILABLE")


def status_number(text: str) -> int | None:
    """The number of a gRPC status; None when there is none of that name."""
    if text.isascii() and text.isdigit() and int(text) in GRPC_STATUS.values():
        return int(text)
    return GRPC_STATUS.get(text.upper().replace("CANCELED", "CANCELLED"))


def _needs_percentage(fields: Fields) -> Iterator[Diagnostic]:
    if not fields.has("percentage") and not fields.has("percent"):
        yield Diagnostic(codes.FAULT_NEVER_FIRES, fields.origin)


def _has_delay(fields: Fields) -> Iterator[Diagnostic]:
    if not fields.has("fixedDelay") and not fields.has("exponentialDelay"):
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field("fixedDelay"), ("`fixedDelay`", "e.g. 5s"))


def _has_status(fields: Fields) -> Iterator[Diagnostic]:
    if not any(fields.has(name) for name in ("httpStatus", "grpcStatus", "http2Error")):
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field("httpStatus"), ("`httpStatus`", "e.g. 503"))


def _has_part(fields: Fields) -> Iterator[Diagnostic]:
    if not fields.has("delay") and not fields.has("abort"):
        yield Diagnostic(codes.EMPTY_FAULT, fields.origin)


FAULT = Object(
    fields={
        "delay": Object(
            fields={
                "fixedDelay": Duration(),
                "percentage": PERCENTAGE,
                "percent": Integer(0, 100),
                "exponentialDelay": Unsupported("use fixedDelay"),
            },
            one_of=(("fixedDelay", "exponentialDelay"),),
            rules=(_has_delay, _needs_percentage),
        ),
        "abort": Object(
            fields={
                "httpStatus": Integer(200, 599),
                "grpcStatus": _GrpcStatus(),
                "http2Error": Unsupported("use httpStatus or grpcStatus"),
                "percentage": PERCENTAGE,
            },
            one_of=(("httpStatus", "grpcStatus", "http2Error"),),
            rules=(_has_status, _needs_percentage),
        ),
    },
    rules=(_has_part,),
)


def read_fault(fields: Fields | None) -> Fault | None:
    """The fault; None when nothing of it can be used."""
    if fields is None:
        return None
    delay, abort = _delay(fields.child("delay")), _abort(fields.child("abort"))
    return Fault(delay, abort) if delay or abort else None


def _share(fields: Fields) -> PartsPerMillion:
    share = share_of(fields.child("percentage"))
    return PartsPerMillion(fields.number_or("percent", 0) * 10_000) if share is None else share


def _delay(fields: Fields | None) -> Delay | None:
    fixed = None if fields is None else fields.duration("fixedDelay")
    return None if fields is None or fixed is None else Delay(fixed, _share(fields))


def _abort(fields: Fields | None) -> HttpAbort | GrpcAbort | None:
    if fields is None:
        return None
    status, grpc = fields.number("httpStatus"), status_number(fields.text("grpcStatus"))
    if status is not None:
        return HttpAbort(status, _share(fields))
    return None if grpc is None else GrpcAbort(grpc, _share(fields))
