"""`/healthz`, `/livez` and `/readyz`: one word, or one line per part when `verbose` is asked for."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from meshwright.apiserver.api import Api
from meshwright.store.errors import StoreError

Check = Callable[[], Awaitable[str]]
"""Why a part does not work; empty where it does."""


class Health:
    """The three pages of one API. Alive means that it answers; ready, that the store and the mesh do as well."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def alive(self, request: Request) -> Response:
        return await _page(request, {"ping": _ping})

    async def ready(self, request: Request) -> Response:
        return await _page(request, {"ping": _ping, "store": self._store, "mesh": self._mesh})

    async def _store(self) -> str:
        try:
            await self._api.store.head()
        except StoreError as problem:
            return str(problem)
        return ""

    async def _mesh(self) -> str:
        return self._api.ready()


async def _ping() -> str:
    return ""


async def _page(request: Request, checks: Mapping[str, Check]) -> Response:
    """As an API server writes it; what fails is told in any case."""
    name = request.url.path.strip("/")
    found = {part: await check() for part, check in checks.items()}
    wrong = [problem for problem in found.values() if problem]
    code = HTTPStatus.INTERNAL_SERVER_ERROR if wrong else HTTPStatus.OK
    if "verbose" not in request.query_params:
        return PlainTextResponse("; ".join(wrong) or "ok", code)
    lines = [f"[-]{part} failed: {problem}" if problem else f"[+]{part} ok" for part, problem in found.items()]
    return PlainTextResponse("\n".join([*lines, f"{name} check {'failed' if wrong else 'passed'}", ""]), code)
