"""The last requests in words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meshwright.cli.flag_words import flag_words
from meshwright.cli.logged import REQUEST_ID, Meant
from meshwright.cli.tables import table

SHORT_ID = 8
DOMAIN = ".svc.cluster.local"
HEAD = ("FROM", "TO", "REQUEST", "CODE", "MS")


def listing(records: Sequence[dict[str, Any]]) -> str:
    """One line for each, with its id."""
    rows = [(_clock(each), *_cells(each), short(str(each.get("id") or "")), _flags(each)) for each in records]
    return table(("TIME", *HEAD, "ID", "FLAGS"), rows)


def story(meant: Meant) -> str:
    """The way of one request, with a mark at the hop that is explained."""
    heads = (" ", "HOP", *HEAD, "FLAGS")
    rows = [
        (">" if number == meant.chosen else " ", str(number + 1), *_cells(each), _flags(each))
        for number, each in enumerate(meant.hops)
    ]
    more = ", its hops in the mesh (> is explained; --hop N: another)" if len(meant.hops) > 1 else ""
    title = f"request {meant.record.get('id') or 'without an id'} at {_clock(meant.record)}{more}"
    return f"{title}\n\n{table(heads, rows)}"


def short(request: str) -> str:
    """How an id begins, if it is one that a proxy made."""
    return request[:SHORT_ID] if REQUEST_ID.fullmatch(request) else request


def _cells(record: dict[str, Any]) -> tuple[str, ...]:
    method = record.get("method")
    what = f"{method} {record.get('path')}" if method else str(record.get("protocol"))
    milliseconds = record.get("ms")
    return (
        str(record.get("source") or ""),
        str(record.get("destination") or "").removesuffix(DOMAIN),
        what,
        _code(record),
        "" if milliseconds is None else str(milliseconds),
    )


def _code(record: dict[str, Any]) -> str:
    code = str(record.get("code") or "")
    return "no answer" if code == "0" else code


def _flags(record: dict[str, Any]) -> str:
    flags = str(record.get("flags") or "-")
    words = flag_words(flags)
    return f"{flags}: {words}" if words else ""


def _clock(record: dict[str, Any]) -> str:
    """The time of day here."""
    try:
        return datetime.fromtimestamp(float(record.get("time") or 0)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""
