"""VirtualService `http[].retries`."""

from collections.abc import Iterator

from meshwright.kinds.fields import Fields
from meshwright.kinds.schema import Duration, Flag, Integer, Object, Text, suggest
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.retry import Retry

CONDITIONS = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited",
    "retriable-4xx", "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip


def _conditions(fields: Fields) -> tuple[str, ...]:
    return tuple(part.strip() for part in fields.text("retryOn").split(",") if part.strip())


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdigit() and 100 <= int(text[:9]) <= 599  # noqa: PLR2004  (HTTP status codes)


def _known_conditions(fields: Fields) -> Iterator[Diagnostic]:
    for part in _conditions(fields):
        if part not in CONDITIONS and not _is_status(part):
            meant = suggest(part, CONDITIONS)
            fix = f"did you mean {meant}?" if meant else f"use status codes or some of {', '.join(CONDITIONS)}"
            args = (f'"{part[:60]}"', "the retry conditions", fix)
            yield Diagnostic(codes.UNKNOWN_VALUE, fields.origin.field("retryOn"), args)


RETRIES = Object(
    fields={
        "attempts": Integer(),
        "perTryTimeout": Duration(),
        "retryOn": Text(),
        "retryRemoteLocalities": Flag(),
        "retryIgnorePreviousHosts": Flag(),
        "backoff": Duration(),
    },
    rules=(_known_conditions,),
)


def read_retry(fields: Fields | None) -> Retry | None:
    if fields is None:
        return None
    return Retry(
        attempts=fields.number_or("attempts", 0),
        per_try_timeout=fields.duration("perTryTimeout"),
        retry_on=_conditions(fields),
        remote_localities=fields.optional_flag("retryRemoteLocalities"),
        ignore_previous_hosts=fields.optional_flag("retryIgnorePreviousHosts"),
        backoff=fields.duration("backoff"),
    )
