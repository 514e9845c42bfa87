"""Who may use the console: whoever has the local token, which a log-in exchanges for a cookie.

The cookie is a session's random name, known to this process only (a restart asks to log in again, which the page
does by itself as long as it has the token). Requests that change something must come from the console's own page, and
every request must name this host: another site, or a name that somebody points at 127.0.0.1, gets nothing.
"""

import hmac
import secrets
import time
from urllib.parse import urlsplit

from starlette.requests import Request

COOKIE = "meshwright-session"
SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 200


class Sessions:
    """Sessions of one process."""

    def __init__(self, token: str, hosts: frozenset[str]) -> None:
        self._token = token
        self._hosts = hosts
        self._until: dict[str, float] = {}

    def begin(self, token: str) -> str | None:
        """A new session for whoever has the token, None for others."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        self._forget_old()
        name = secrets.token_urlsafe(32)
        self._until[name] = time.monotonic() + SESSION_SECONDS
        return name

    def end(self, request: Request) -> None:
        self._until.pop(request.cookies.get(COOKIE, ""), None)

    def has(self, request: Request) -> bool:
        """Whether a request belongs to a session, or carries the token itself (programs do)."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.encode(), self._token.encode()):
            return True
        return self._until.get(request.cookies.get(COOKIE, ""), 0.0) > time.monotonic()

    def is_ours(self, request: Request) -> bool:
        """Whether the browser speaks to this host, and (for changes) from our own page."""
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in self._hosts and host not in self._hosts:
            return False
        origin = request.headers.get("origin")
        return request.method in ("GET", "HEAD") or origin is None or urlsplit(origin).netloc == host

    def _forget_old(self) -> None:
        now = time.monotonic()
        kept = sorted((until, name) for name, until in self._until.items() if until > now)
        self._until = {name: until for until, name in kept[-MOST_SESSIONS:]}
