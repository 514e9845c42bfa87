"""Durations as Go and Istio write them: `1.5s`, `1h10m`, `300ms`."""

import re
from decimal import Decimal

from meshwright.model.names import Milliseconds

_UNITS = {"ns": "0.000001", "us": "0.001", "µs": "0.001", "μs": "0.001", "ms": "1", "s": "1000", "m": "60000",
          "h": "3600000"}  # fmt: skip
_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[-+]?(?:{_PART.pattern})+\Z", re.ASCII)
_LONGEST = 64
LONGEST = Decimal(2_562_047 * 3_600_000)  # milliseconds: what fits into 64 bits of nanoseconds, in Go and in Envoy


def exact_milliseconds(text: str) -> Decimal | None:
    """The duration in milliseconds with all its digits; None when the text is no duration. `0` needs no unit."""
    if text in ("0", "+0", "-0"):
        return Decimal(0)
    if len(text) > _LONGEST or not _WHOLE.match(text):
        return None
    total = sum((Decimal(number) * Decimal(_UNITS[unit]) for number, unit in _PART.findall(text)), Decimal(0))
    return -total if text[0] == "-" else total


def milliseconds(text: str) -> Milliseconds:
    """A duration that was checked, rounded to whole milliseconds (halves up)."""
    exact = exact_milliseconds(text)
    assert exact is not None, "the schema lets only durations pass"
    return Milliseconds(int(exact + Decimal("0.5")))
