"""A backend that says what it got and counts it: `echo.py PORT`. Control paths are not counted.

/anything          200, JSON with version, pod, method, path, headers
/status/503        that status
/flaky/2/503?id=x  that status for the first two requests with id x, then 200
/sleep/700         200 after so many milliseconds
/counts            JSON: how many requests came, by header x-test-id ("" = without)
"""

import os
import sys
import threading
import time

from meshwright.images.server import Request, Response, json_response, serve

VERSION = os.environ.get("VERSION", "")
POD = os.environ.get("HOSTNAME", "")
LOCK = threading.Lock()
COUNTS: dict[str, int] = {}
FLAKY: dict[str, int] = {}


def handle(request: Request) -> Response:
    parts = request.path.strip("/").split("/")
    if parts[0] == "counts":
        with LOCK:
            return json_response(200, dict(COUNTS))
    with LOCK:
        key = request.headers.get("x-test-id")
        COUNTS[key] = COUNTS.get(key, 0) + 1
    if parts[0] == "status":
        return json_response(int(parts[1]), {"version": VERSION, "pod": POD})
    if parts[0] == "sleep":
        time.sleep(int(parts[1]) / 1000)
    if parts[0] == "flaky":
        with LOCK:
            seen = FLAKY[request.query] = FLAKY.get(request.query, 0) + 1
        if seen <= int(parts[1]):
            return json_response(int(parts[2]), {"version": VERSION, "pod": POD})
    headers = {name.lower(): value for name, value in request.headers.items}
    answer = {
        "version": VERSION,
        "pod": POD,
        "method": request.method,
        "path": request.target,
        "headers": headers,
        "body": request.body.decode("latin-1"),
    }
    response = json_response(200, answer)
    response.headers.append(("x-echo", "here"))
    return response


if __name__ == "__main__":
    sys.exit(serve(handle, "echo", int(sys.argv[1])))
