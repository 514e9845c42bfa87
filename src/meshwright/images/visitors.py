"""Visitors of a demo: requests at a steady rate, and their own count of what came back, at /counts.

`visitors URL [REQUESTS-PER-SECOND [PORT]]`. The count is what tests compare the mesh's with; `POST /rest?seconds=N`
lets the visitors rest and answers, when the last of them has its answer, with the count: nobody is on the way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter

from meshwright.images.client import Client, FetchError
from meshwright.images.http11 import parse_form
from meshwright.images.server import Request, Response, json_response, serve

_TIMEOUT = 10.0
_USUAL = ("", "5", "8090")
_AT_ONCE = 8
_LONGEST_REST = 300.0


class Visitors:
    """Sends and counts; `handle` answers /counts."""

    def __init__(self, url: str, rate: float) -> None:
        self._url = url
        self._pause = 1.0 / rate
        self._client = Client()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._free = threading.Semaphore(_AT_ONCE)
        self._rests_until = 0.0

    def start(self) -> None:
        """Begin in the background."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._pause, time.monotonic() - 1.0)  # after a stall, at most a second is made up for
            time.sleep(max(0.0, due - time.monotonic()))
            with self._lock:
                goes = time.monotonic() >= self._rests_until and self._free.acquire(blocking=False)
            if goes:
                threading.Thread(target=self._visit, daemon=True).start()

    def _visit(self) -> None:
        try:
            outcome = self._outcome()
            with self._lock:
                self._counts[outcome] += 1
        finally:
            self._free.release()

    def _outcome(self) -> str:
        try:
            return str(self._client.fetch(self._url, _TIMEOUT, [("user-agent", "meshwright-visitors")]).status)
        except FetchError:
            return "failed"

    def handle(self, request: Request) -> Response:
        """How many answers came by status; `failed` had none."""
        if request.path == "/rest":
            return self._rest(request)
        if request.path not in {"/", "/counts"}:
            return json_response(404, {"error": "see /counts"})
        return self._told()

    def _rest(self, request: Request) -> Response:
        """Nobody sets out for a while; the answer waits for those who are on the way."""
        try:
            seconds = float(dict(parse_form(request.query)).get("seconds", ""))
        except ValueError:
            seconds = -1.0
        if request.method != "POST" or not 0 <= seconds <= _LONGEST_REST:
            return json_response(400, {"error": f"POST /rest?seconds=N, at most {_LONGEST_REST:g}"})
        with self._lock:
            self._rests_until = time.monotonic() + seconds
        for _ in range(_AT_ONCE):
            self._free.acquire()
        self._free.release(_AT_ONCE)
        return self._told()

    def _told(self) -> Response:
        with self._lock:
            return json_response(200, {"visits": sum(self._counts.values()), "answers": dict(self._counts)})


def main() -> int:
    """Visit until SIGTERM."""
    arguments = sys.argv[1:]
    try:
        url, rate_text, port_text = (*arguments, *_USUAL[len(arguments) :])
        rate, port = float(rate_text), int(port_text)
    except ValueError:
        sys.stderr.write("visitors: URL [REQUESTS-PER-SECOND [PORT]]\n")
        return 1
    if not url or not 0 < rate <= 1000:
        sys.stderr.write("visitors: a URL, and at most 1000 requests a second\n")
        return 1
    visitors = Visitors(url, rate)
    visitors.start()
    return serve(visitors.handle, "visitors", port)


if __name__ == "__main__":
    sys.exit(main())
