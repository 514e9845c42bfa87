"""Who may use the console: whoever has the local token, which a log-in exchanges for a session's random name.

Every request brings the session (or, from programs, the token) in its `authorization` header. There is no cookie: a
browser sends cookies to every port of a host, so each application behind the gateway at localhost would get the
session of whoever looks at it. A header also leaves nothing that another site could make a browser send.

Sessions are known to this process only; after a restart the page logs in again by itself as long as it has the
token. Every request must name this host, and changes must come from the console's own page: another site, or a name
that somebody points at 127.0.0.1, gets nothing. Who tries many wrong tokens has to wait, and so has everybody else
who logs in then; sessions go on.
"""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from urllib.parse import urlsplit

from starlette.requests import Request

SESSION = "session-"  # how names of sessions begin; one that has ended is no guess at the token
SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 200
MOST_WRONG = 10  # wrong tokens in a minute
WRONG_SECONDS = 60.0


class Access(Enum):
    """What a request may do."""

    YES = "yes"
    NO = "no"
    LATER = "later"


class Sessions:
    """Sessions of one process. `clock` counts seconds."""

    def __init__(self, token: str, hosts: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._hosts = hosts
        self._clock = clock
        self._until: dict[str, float] = {}
        self._wrong: deque[float] = deque(maxlen=MOST_WRONG)

    def begin(self, token: str) -> str | Access:
        """A new session for whoever has the token; NO, or LATER after too many wrong ones, for others."""
        may = self._try(token)
        if may is not Access.YES:
            return may
        self._forget_old()
        name = SESSION + secrets.token_urlsafe(32)
        self._until[name] = self._clock() + SESSION_SECONDS
        return name

    def end(self, request: Request) -> None:
        self._until.pop(_given(request), None)

    def access(self, request: Request) -> Access:
        """Whether a request belongs to a session, or carries the token itself (programs do)."""
        given = _given(request)
        if given.startswith(SESSION):
            return Access.YES if self._until.get(given, 0.0) > self._clock() else Access.NO
        return self._try(given) if given else Access.NO

    def is_ours(self, request: Request) -> bool:
        """Whether the browser speaks to this host, and (for changes) from our own page."""
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in self._hosts and host not in self._hosts:
            return False
        origin = request.headers.get("origin")
        return request.method in ("GET", "HEAD") or origin is None or urlsplit(origin).netloc == host

    def _try(self, token: str) -> Access:
        now = self._clock()
        if len(self._wrong) == MOST_WRONG and now - self._wrong[0] < WRONG_SECONDS:
            return Access.LATER
        if hmac.compare_digest(token.encode(), self._token):
            return Access.YES
        self._wrong.append(now)
        return Access.NO

    def _forget_old(self) -> None:
        now = self._clock()
        kept = sorted((until, name) for name, until in self._until.items() if until > now)
        self._until = {name: until for until, name in kept[-MOST_SESSIONS:]}


def _given(request: Request) -> str:
    """What a request brings to prove itself; "" for nothing."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else ""
