"""The log lines of the small processes: a JSON object each, on stderr, which their starter keeps in a file."""

import json
import sys
import time


def log(message: str, **facts: object) -> None:
    """Write one line. `time` is in seconds since 1970."""
    line = json.dumps({"time": round(time.time(), 3), "message": message, **facts}, default=str)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
