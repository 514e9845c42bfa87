"""`sleep` for machines without one: seconds, `5m`, several of them, or `infinity`; SIGTERM ends it with 0."""

from __future__ import annotations

import math
import signal
import sys

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 10 * 365 * 86400.0


def seconds(text: str) -> float:
    """The duration that one argument means; ValueError when it means none."""
    unit = _UNITS.get(text[-1:])
    number = float(text[:-1]) * unit if unit else float(text)
    if math.isnan(number) or number < 0:
        raise ValueError(text)
    return number


def main() -> int:
    """Sleep for the sum of the arguments; the exit code is 0, or 1 when they are no durations."""
    try:
        total = sum(seconds(text) for text in sys.argv[1:])
    except ValueError as error:
        sys.stderr.write(f"sleep: not a duration: {error}\n")
        return 1
    if not sys.argv[1:]:
        sys.stderr.write("sleep: how long?\n")
        return 1
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigtimedwait(ends, min(total, _LONGEST))
    return 0


if __name__ == "__main__":
    sys.exit(main())
