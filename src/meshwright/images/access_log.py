"""A line for each request, in the words of the program that an image holds: gunicorn's, or go-httpbin's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from meshwright.images.server import Handler, Request, Response

Line = Callable[[Request, Response, float], str]
"""(request, response, milliseconds) to one line."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def with_log(handler: Handler, line: Line) -> Handler:
    """The handler, and a line on standard output after each of its answers."""

    def handle(request: Request) -> Response:
        begun = time.monotonic()
        response = handler(request)
        sys.stdout.write(line(request, response, (time.monotonic() - begun) * 1000) + "\n")
        sys.stdout.flush()
        return response

    return handle


def combined(request: Request, response: Response, _milliseconds: float) -> str:
    """As web servers have written it for thirty years; gunicorn's `--access-logfile -`."""
    now = time.gmtime()
    when = f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:{time.strftime('%H:%M:%S', now)} +0000"
    version = "1.0" if request.http10 else "1.1"
    referer, agent = (_quoted(request.headers.get(name) or "-") for name in ("referer", "user-agent"))
    asked = _quoted(f"{request.method} {request.target} HTTP/{version}")
    return f"{request.peer} - - [{when}] {asked} {response.status} {_size(response)} {referer} {agent}"


def structured(request: Request, response: Response, milliseconds: float) -> str:
    """key=value, as go-httpbin writes it."""
    now = time.time()
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    said = _quoted(f"{response.status} {request.method} {request.path} {milliseconds:.1f}ms")
    agent = _quoted(request.headers.get("user-agent") or "")
    return (
        f"time={when} level=INFO msg={said} status={response.status} method={request.method} "
        f"uri={_quoted(request.target)} size_bytes={_size(response)} duration_ms={milliseconds:.3f} "
        f"user_agent={agent} client_ip={request.peer}"
    )


def _size(response: Response) -> str:
    return str(len(response.body)) if isinstance(response.body, bytes) else "-"


def _quoted(text: str) -> str:
    """Whatever a client writes stays inside the quotes, and on one line."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
