"""httpbin: answers that tell what was asked, and answers on demand (status codes, delays, redirects, ...).

Two flavours, because their users read the JSON differently: go-httpbin gives a list of values for each header
and argument, the older one (`--classic`) a string.
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise

from meshwright.images import httpbin_answers
from meshwright.images.access_log import combined, structured, with_log
from meshwright.images.client import split_authority
from meshwright.images.httpbin_request import Asked
from meshwright.images.server import Handler, Request, Response, json_response, log, serve

PORT = 8080


class Httpbin:
    """The service."""

    def __init__(self, *, classic: bool) -> None:
        self._classic = classic

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        asked = Asked(request, classic=self._classic)
        parts = request.path.strip("/").split("/")
        route = httpbin_answers.ROUTES.get(parts[0])
        if route is None:
            return json_response(404, {"error": "Not Found", "status_code": 404})
        if route.methods and request.method not in route.methods:
            response = json_response(405, {"error": "Method Not Allowed", "status_code": 405})
            response.headers.append(("allow", ", ".join(route.methods)))
            return response
        try:
            return route.answer(asked, parts[1:])
        except ValueError as error:
            return json_response(400, {"error": str(error), "status_code": 400})


def with_cors(handler: Handler) -> Handler:
    """Let pages of every origin read the answers, as httpbin does."""

    def handle(request: Request) -> Response:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            response = Response(200)
            methods = "GET, POST, HEAD, PUT, DELETE, PATCH, OPTIONS"
            response.headers.append(("access-control-allow-methods", methods))
            wanted = request.headers.get("access-control-request-headers")
            if wanted:
                response.headers.append(("access-control-allow-headers", wanted))
        else:
            response = handler(request)
        origin = request.headers.get("origin") or "*"
        response.headers.append(("access-control-allow-origin", origin))
        response.headers.append(("access-control-allow-credentials", "true"))
        return response

    return handle


def arguments(words: list[str]) -> tuple[bool, int]:
    """Flavour and port from go-httpbin's arguments (`-port N`) or gunicorn's (`-b ADDRESS:N`)."""
    classic, port = False, os.environ.get("PORT") or str(PORT)
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--classic":
            classic = True
        elif name in {"-port", "--port", "-b", "--bind"}:
            port = value if equals else next(rest, "")
    number = split_authority(port)[1] or port
    if not number.isdecimal() or int(number) > 65535:
        log(f"httpbin: not a port: {port!r}")
        sys.exit(2)
    return classic, int(number)


def logged(handler: Handler, words: list[str], *, classic: bool) -> Handler:
    """go-httpbin tells of every request, gunicorn where `--access-logfile -` asks for it."""
    if not classic:
        return with_log(handler, structured)
    asked = "--access-logfile=-" in words or ("--access-logfile", "-") in pairwise(words)
    return with_log(handler, combined) if asked else handler


def main() -> int:
    """Run the service."""
    words = sys.argv[1:]
    classic, port = arguments(words)
    handler = with_cors(Httpbin(classic=classic).handle)
    return serve(logged(handler, words, classic=classic), "httpbin", port)


if __name__ == "__main__":
    sys.exit(main())
