"""The console's pages and its API: `/api/v1/...`, errors as RFC 9457 problem details."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from meshwright.console.access import SESSION_SECONDS, WRONG_SECONDS, Access, Sessions
from meshwright.console.files import page_files
from meshwright.console.seams import MeshAwayError, MeshRefusesError, Seams, Wanted
from meshwright.console.told import LAST_CHANGES, Told, event

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LONGEST_BODY = 64 * 1024
PING_SECONDS = 2.0  # a page that hears nothing for 5.5 s (api.js) takes this process to be stopped
MOST_REQUESTS = 200
MOST_WINDOW = 24 * 3600  # seconds
Handler = Callable[[Request], Awaitable[Response]]


def application(seams: Seams) -> Starlette:
    """All paths. Pages are for everybody who reaches this host, the API for sessions."""
    pages = _Pages(seams)
    return Starlette(
        routes=[
            Route("/api/v1/session", pages.open(pages.session), methods=["POST", "DELETE"]),
            Route("/api/v1/me", pages.inside(pages.me)),
            Route("/api/v1/graph", pages.inside(pages.graph)),
            Route("/api/v1/requests", pages.inside(pages.requests)),
            Route("/api/v1/changes", pages.inside(pages.changes)),
            Route("/api/v1/changes/{number:int}/diff", pages.inside(pages.diff)),
            Route("/api/v1/changes/{number:int}/undo", pages.inside(pages.undo), methods=["POST"]),
            Route("/api/v1/explain", pages.inside(pages.explain), methods=["POST"]),
            Route("/api/v1/visitors", pages.inside(pages.visitors), methods=["GET", "PUT"]),
            Route("/api/v1/events", pages.inside(pages.events)),
            Route("/{name:path}", pages.open(pages.static)),
        ],
        exception_handlers={405: _other_method},
    )


def problem(status: int, code: str, detail: str, said: Mapping[str, Any] | None = None) -> Response:
    """A failure as application/problem+json; `said` is the detail as {key, values} for pages in other languages."""
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail}
    body |= {} if said is None else {"said": said}
    return JSONResponse(body, status, HEADERS, "application/problem+json")


class _Pages:
    """The handlers."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._files = page_files()
        self._told = Told(seams)
        self._sessions = Sessions(seams.token, seams.allowed_hosts)

    def open(self, handler: Handler) -> Handler:
        """For everybody on this host."""

        async def answer(request: Request) -> Response:
            if not self._sessions.is_ours(request):
                return problem(421, "foreign-host", "this console answers to its own host name and page only")
            try:
                return await handler(request)
            except MeshAwayError as error:
                return problem(503, "mesh-away", str(error))
            except MeshRefusesError as error:
                return problem(409, "refused", str(error), error.said)

        return answer

    def inside(self, handler: Handler) -> Handler:
        """For sessions."""

        async def answer(request: Request) -> Response:
            may = self._sessions.access(request)
            if may is Access.YES:
                return await handler(request)
            if may is Access.LATER:
                return _later()
            return problem(401, "log-in", "log in with the token of this mesh: meshwright dashboard")

        return self.open(answer)

    # ------------------------------------------------------------ pages and sessions

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"] or "index.html"
        file = self._files.get(name)
        return (
            problem(404, "no-such-page", f"there is no page {name}")
            if file is None
            else file.answer(request, HEADERS)
        )

    async def session(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._sessions.end(request)
            return Response(status_code=204, headers=HEADERS)
        given = await _body(request)
        name = self._sessions.begin(str(given.get("token", "")))
        if name is Access.LATER:
            return _later()
        if isinstance(name, Access):
            return problem(403, "wrong-token", "this is not the token of this mesh: meshwright dashboard prints it")
        return _json({"session": name, "seconds": SESSION_SECONDS})

    async def me(self, request: Request) -> Response:
        del request
        told = self._seams
        return _json({"user": "admin", "mesh": told.mesh, "ingress": told.ingress, "version": told.version})

    # ------------------------------------------------------------ values

    async def graph(self, request: Request) -> Response:
        """The live one, or with `?window=SECONDS` what the last minutes had."""
        seconds = min(_number(request.query_params.get("window", "0")), MOST_WINDOW)
        return _json(self._seams.past(float(seconds)) if seconds else self._seams.graph())

    async def requests(self, request: Request) -> Response:
        """The last ones, newest first: `?edge=ID`, `?id=` (how a request's id begins), `?failed=true`, `&limit=N`."""
        asked = request.query_params
        most = min(_number(asked.get("limit", "50")), MOST_REQUESTS)
        wanted = Wanted(most, asked.get("edge", ""), asked.get("id", ""), asked.get("failed") == "true")
        return _json({"requests": self._seams.requests(wanted)})

    async def changes(self, request: Request) -> Response:
        limit = min(_number(request.query_params.get("limit", str(LAST_CHANGES))), MOST_REQUESTS)
        return _json(await self._seams.ask("changes", {"limit": limit}))

    async def diff(self, request: Request) -> Response:
        number = request.path_params["number"]
        return _json(await self._seams.ask("diff", {"old": number - 1, "new": number}))

    async def undo(self, request: Request) -> Response:
        fields = {"change": request.path_params["number"], "author": "console"}
        return _json(await self._seams.ask("undo", fields))

    async def explain(self, request: Request) -> Response:
        """Where a request goes: told by caller, URL, method and headers, or a `record` of the last requests."""
        given = await _body(request)
        fields = {name: str(given.get(name, usual)) for name, usual in EXPLAIN.items()}
        headers = [str(each) for each in _list(given.get("headers"))]
        logged = {name: given[name] for name in ("record",) if isinstance(given.get(name), dict)}
        return _json(await self._seams.ask("explain", {**fields, "headers": headers, **logged}))

    async def visitors(self, request: Request) -> Response:
        wanted = ""
        if request.method == "PUT":
            wanted = "on" if (await _body(request)).get("on") is True else "off"
        return _json(await self._seams.ask("visitors", {"wanted": wanted, "author": "console"}))

    async def events(self, request: Request) -> Response:
        headers = {**HEADERS, "x-accel-buffering": "no"}
        return StreamingResponse(self._stream(request), 200, headers, "text/event-stream")

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        """The graph after every look at the proxies, and the changes whenever there are others."""
        shown = ""
        seen = -1
        while self._sessions.access(request) is Access.YES and not await request.is_disconnected():
            if seen != self._seams.news.value:
                seen = self._seams.news.value
                yield self._told.graph()
                changes = await self._told.changes()
                if changes != shown:
                    shown = changes
                    yield changes
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._seams.news.newer_than(seen)
            except TimeoutError:
                yield event("ping", {})


def _other_method(request: Request, error: Exception) -> Response:
    """The router's refusal, with our headers."""
    answer = problem(405, "no-such-method", f"{request.method} is not for {request.url.path}")
    answer.headers["allow"] = (error.headers or {}).get("allow", "") if isinstance(error, HTTPException) else ""
    return answer


def _later() -> Response:
    answer = problem(429, "too-many-tries", f"too many wrong tokens: wait {WRONG_SECONDS:.0f} s")
    answer.headers["retry-after"] = f"{WRONG_SECONDS:.0f}"
    return answer


EXPLAIN = {"caller": "", "url": "", "method": "GET", "namespace": "default"}


def _json(value: object) -> Response:
    return JSONResponse(value, headers=HEADERS)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; empty for anything else."""
    pieces: list[bytes] = []
    async for piece in request.stream():
        pieces.append(piece)
        if sum(map(len, pieces)) > LONGEST_BODY:
            return {}
    try:
        value: object = json.loads(b"".join(pieces) or b"{}")
    except ValueError:
        return {}
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
