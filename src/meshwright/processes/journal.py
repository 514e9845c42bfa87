"""The log lines of the small processes: a JSON object each, on stderr, which their starter keeps in a file."""

import json
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


def log(message: str, **facts: object) -> None:
    """Write one line. `time` is in seconds since 1970."""
    line = json.dumps({"time": round(time.time(), 3), "message": message, **facts}, default=str)
    # A full disk must not end the process that carries all traffic.
    with suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


async def guarded(work: Coroutine[Any, Any, None]) -> None:
    """Await `work`; what goes wrong in it is logged and goes no further, so that its siblings live on."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - one client, one connection: never the whole process
        log("something failed", what=work.__qualname__, why=f"{type(error).__name__}: {error}")
