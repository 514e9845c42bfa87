"""What every answer carries, whatever it is: an id, and that nobody between may keep it."""

import re
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

AUDIT_ID = "Audit-Id"
_LONGEST = 64
_PLAIN = re.compile(r"[\x21-\x7e]+\Z")


class Marked:
    """An application whose HTTP answers have the headers that those of an API server have."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request_id = _id_of(scope)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[AUDIT_ID] = request_id
                headers.setdefault("Cache-Control", "no-cache, private")
            await send(message)

        await self._inner(_without_slash(scope), receive, marked)


def _without_slash(scope: Scope) -> Scope:
    """Some clients ask for `/version/` and `/apis/`: a closing slash means nothing."""
    path: str = scope["path"]
    return {**scope, "path": path.rstrip("/")} if path.endswith("/") and path.strip("/") else scope


def _id_of(scope: Scope) -> str:
    """The id that the client chose, or a new one."""
    wanted = AUDIT_ID.lower().encode()
    sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")[:_LONGEST]
    return sent if _PLAIN.match(sent) else str(uuid4())
