"""Bookinfo's productpage: the page that people see, and an API, over details and reviews."""

from __future__ import annotations

import os
import sys
import threading

from meshwright.images.bookinfo import common, pages
from meshwright.images.client import Client, FetchError
from meshwright.images.http11 import parse_form, quote, unquote
from meshwright.images.server import (
    Handler,
    Request,
    Response,
    json_object,
    json_response,
    port_argument,
    serve,
    text_response,
)

_SECONDS = 3.0
_REVIEW_TRIES = 2
_COOKIE = "session"
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_STATIC = {"bookinfo.css": "text/css; charset=utf-8", "favicon.svg": "image/svg+xml"}

Answer = tuple[int, dict[str, object]]
"""Status and JSON of a service; on failure the JSON is `{"error": ...}`."""


class Metrics:
    """Counts requests to the other services by the status that they gave."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, int], int] = {}

    def count(self, app: str, status: int) -> None:
        """One more answer of `app`."""
        with self._lock:
            self._counts[app, status] = self._counts.get((app, status), 0) + 1

    def text(self) -> str:
        """The counts in Prometheus' text format."""
        name = "request_result_total"
        with self._lock:
            counts = sorted(self._counts.items())
        lines = [f"# HELP {name} Results of requests to other services", f"# TYPE {name} counter"]
        for (app, status), count in counts:
            lines.append(f'{name}{{destination_app="{app}",response_code="{status}"}} {count}')
        return "\n".join(lines) + "\n"


class Productpage:
    """The service; `flood` is the number of extra parallel review calls for each page."""

    def __init__(self, flood: int, static: dict[str, bytes]) -> None:
        self._flood = flood
        self._static = static
        self._client = Client()
        self._metrics = Metrics()
        self._pages: dict[str, Handler] = {
            "/": front,
            "/index.html": front,
            "/productpage": self._page,
            "/logout": logout,
            "/health": lambda _: text_response(200, "Product page is healthy"),
            "/metrics": lambda _: text_response(200, self._metrics.text(), _EXPOSITION),
        }

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path
        if path == "/login":
            return login(request)
        if not common.reading(request):
            return common.wrong_method("GET")
        if path.startswith("/api/v1/products"):
            return self._api(request)
        if path.startswith("/static/"):
            return self._file(path.removeprefix("/static/"))
        page = self._pages.get(path)
        return page(request) if page else common.not_found()

    def _file(self, name: str) -> Response:
        if name not in self._static:
            return common.not_found()
        fields = [("content-type", _STATIC[name]), ("cache-control", "max-age=300")]
        return Response(200, self._static[name], fields)

    def _page(self, request: Request) -> Response:
        if self._flood:
            self._flood_reviews(request)
        details = self._details("0", request)
        reviews = self._reviews("0", request)
        return html(pages.product(pages.PRODUCTS[0], details, reviews, user_of(request)))

    def _api(self, request: Request) -> Response:
        parts = request.path.removeprefix("/api/v1/products").strip("/").split("/")
        match parts:
            case [""]:
                return json_response(200, pages.PRODUCTS)
            case [number]:
                status, value = self._details(number, request)
            case [number, "reviews"]:
                status, value = self._reviews(number, request)
            case [number, "ratings"]:
                status, value = self._ask("ratings", number, request)
            case _:
                return common.not_found()
        return json_response(status, value)

    def _details(self, number: str, request: Request) -> Answer:
        return self._ask("details", number, request)

    def _reviews(self, number: str, request: Request) -> Answer:
        """Reviews are asked twice: with a slow ratings service the page gives up after two time-outs."""
        answer = self._ask("reviews", number, request)
        for _ in range(_REVIEW_TRIES - 1):
            if answer[0] == 200:
                break
            answer = self._ask("reviews", number, request)
        return answer

    def _ask(self, app: str, number: str, request: Request) -> Answer:
        url = f"{common.service_url(app)}/{app}/{quote(number)}"
        try:
            reply = self._client.fetch(url, _SECONDS, headers_for(request))
            status = reply.status
            value: dict[str, object] | None = json_object(reply.body) if status == 200 else None
        except (FetchError, ValueError):
            status, value = 500, None
        self._metrics.count(app, status)
        if value is None:
            value = {"error": f"product {app} are not available at the moment"}
        return status, value

    def _flood_reviews(self, request: Request) -> None:
        threads = [threading.Thread(target=self._ask, args=("reviews", "0", request)) for _ in range(self._flood)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def front(_: Request) -> Response:
    """The page with the services."""
    return html(pages.index(_services()))


def logout(request: Request) -> Response:
    """End the session."""
    return back(request, f"{_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")


def _services() -> list[tuple[str, str, str]]:
    """Name, address and caller of the services behind the page."""
    return [
        ("details", common.service_url("details"), "productpage"),
        ("reviews", common.service_url("reviews"), "productpage"),
        ("ratings", common.service_url("ratings"), "reviews"),
    ]


def headers_for(request: Request) -> list[tuple[str, str]]:
    """The fields for requests on behalf of a request: the tracing ones and who is logged in."""
    user = user_of(request)
    fields = common.forwarded(request)
    if user:
        fields.append((common.END_USER, user.encode().decode("latin-1")))
    return fields


def user_of(request: Request) -> str:
    """The user of the session cookie, or nothing.

    The cookie is not signed: anybody may log in as anybody, without a password.
    """
    for cookie in ";".join(request.headers.all("cookie")).split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == _COOKIE:
            return printable(unquote(value))
    return ""


def printable(user: str) -> str:
    """A user name that may stand in a header field."""
    return "".join(each for each in user.strip() if each.isprintable())[:64]


def login(request: Request) -> Response:
    """Open a session for the `username` of the form."""
    if request.method != "POST":
        return common.wrong_method("POST")
    form = dict(parse_form(request.body.decode("utf-8", "replace")))
    user = printable(form.get("username", ""))
    if not user:
        return back(request)
    return back(request, f"{_COOKIE}={quote(user)}; Path=/; HttpOnly; SameSite=Lax")


def back(request: Request, cookie: str = "") -> Response:
    """Send the browser to the page it came from, on this site."""
    _, _, rest = request.headers.get("referer").partition("://")
    place = rest.partition("/")[2].partition("#")[0].lstrip("/\\") or "productpage"
    fields = [("location", "/" + quote(place, "/?&=%+,;:@"))]
    if cookie:
        fields.append(("set-cookie", cookie))
    return Response(302, b"", fields)


def html(text: str) -> Response:
    """A page."""
    return text_response(200, text, "text/html; charset=utf-8")


def static_files() -> dict[str, bytes]:
    """The files under /static, read once."""
    folder = os.path.join(os.path.dirname(__file__), "static")  # noqa: PTH118, PTH120 - pathlib costs a MiB
    files: dict[str, bytes] = {}
    for name in _STATIC:
        with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123
            files[name] = file.read()
    return files


def main() -> int:
    """Run the service; the first argument may be a port."""
    flood = os.environ.get("FLOOD_FACTOR", "")
    page = Productpage(min(int(flood), 100) if flood.isdecimal() else 0, static_files())
    return serve(page.handle, "productpage", port_argument(sys.argv[1:], common.PORT))


if __name__ == "__main__":
    sys.exit(main())
