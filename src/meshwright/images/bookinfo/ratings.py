"""Bookinfo's ratings service: stars per reviewer, in memory, with versions that fail on purpose."""

from __future__ import annotations

import json
import os
import sys
import time

from meshwright.images.bookinfo import common
from meshwright.images.server import Request, Response, json_response, port_argument, serve

_RATINGS = {"Reviewer1": 5, "Reviewer2": 4}
_DELAY_SECONDS = 7.0
# How long a version stays in one state before it changes to the other.
_UNAVAILABLE_SECONDS = 60.0
_UNHEALTHY_SECONDS = 900.0


class Ratings:
    """The service; `version` is one of v1, v2 (needs a database) or a version that misbehaves."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._database = version.startswith("v2")
        self._given: dict[int, object] = {}
        self._started = time.monotonic()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/health":
            return self._health()
        if not request.path.startswith("/ratings"):
            return common.not_found()
        name = request.path.removeprefix("/ratings").strip("/")
        if not (name.isascii() and name.isdecimal() and len(name) < 19):
            return json_response(400, {"error": "please provide numeric product ID"})
        if request.method == "POST":
            return self._post(int(name), request.body)
        if not common.reading(request):
            return common.wrong_method("GET", "POST")
        return self._get(int(name))

    def _post(self, number: int, body: bytes) -> Response:
        if self._database:
            return json_response(501, {"error": "ratings in a database cannot be changed here"})
        try:
            ratings = json.loads(body)
        except (ValueError, RecursionError):
            return json_response(400, {"error": "please provide valid ratings JSON"})
        self._given[number] = ratings
        return self._found(number)

    def _get(self, number: int) -> Response:
        if self._database:
            return json_response(500, {"error": "this program has no client of the ratings database"})
        if self._failing():
            return json_response(503, {"error": "the ratings service is unavailable"})
        if self._version == "v-delayed" and half_of_the_time():
            time.sleep(_DELAY_SECONDS)
        return self._found(number)

    def _found(self, number: int) -> Response:
        return json_response(200, {"id": number, "ratings": self._given.get(number, _RATINGS)})

    def _failing(self) -> bool:
        if self._version == "v-faulty":
            return half_of_the_time()
        if self._version == "v-unavailable":
            return self._second_half(_UNAVAILABLE_SECONDS)
        return self._version == "v-unhealthy" and self._second_half(_UNHEALTHY_SECONDS)

    def _second_half(self, seconds: float) -> bool:
        return int((time.monotonic() - self._started) / seconds) % 2 == 1

    def _health(self) -> Response:
        if self._version == "v-unhealthy" and self._second_half(_UNHEALTHY_SECONDS):
            return json_response(500, {"status": "Ratings is not healthy"})
        return common.health("Ratings")


def half_of_the_time() -> bool:
    """True or false, each with the same probability (the module random would cost 3 MiB)."""
    return os.urandom(1)[0] < 128


def main() -> int:
    """Run the service; the first argument may be a port."""
    ratings = Ratings(os.environ.get("SERVICE_VERSION", "v1"))
    return serve(ratings.handle, "ratings", port_argument(sys.argv[1:], common.PORT))


if __name__ == "__main__":
    sys.exit(main())
