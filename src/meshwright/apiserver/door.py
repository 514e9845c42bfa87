"""Who is at the door: the user behind a request; who is turned away stands in the log, without any secret."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from meshwright.apiserver.access import AUTHENTICATED, Allowed, Authenticate, Refused, User
from meshwright.apiserver.failure import About, bad_request, forbidden, unauthorized

LOG = logging.getLogger(__name__)
_BEARER = "bearer "
_IN_QUERY = frozenset({"access_token", "token", "bearer_token"})
_LONGEST_PATH = 200
_AS = "impersonate-"
_AS_USER, _AS_GROUP, _AS_UID = "impersonate-user", "impersonate-group", "impersonate-uid"
_ACCOUNT = "system:serviceaccount:"


@dataclass(slots=True)
class Sparingly:
    """Lines of a log that strangers can cause: `most` at once, then `per_second`; the rest is only counted."""

    most: float = 50.0
    per_second: float = 5.0
    clock: Callable[[], float] = time.monotonic
    left: float = 50.0
    last: float = 0.0
    unsaid: int = 0

    def tell(self, text: str, *words: object) -> None:
        """Write it, or count it."""
        now = self.clock()
        self.left = min(self.most, self.left + (now - self.last) * self.per_second)
        self.last = now
        if self.left < 1:
            self.unsaid += 1
            return
        self.left -= 1
        LOG.warning(text, *words)
        if self.unsaid:
            LOG.warning("%d more were turned away in the meantime", self.unsaid)
            self.unsaid = 0


TURNED_AWAY = Sparingly()


async def user_at(connection: HTTPConnection, authenticate: Authenticate, allowed: Allowed) -> User:
    """The user behind a request or WebSocket, or the one that it asks in the name of (kubectl's --as).

    Raises Failure 401 for nobody, 403 for who may not ask in another's name, 400 for half a name.
    """
    holder = await _holder(connection, authenticate)
    return _in_the_name_of(connection, holder, allowed)


def _in_the_name_of(connection: HTTPConnection, holder: User, allowed: Allowed) -> User:
    """Whom the headers name. They are never left out of account: an answer for another user would be a lie."""
    asked = sorted({name for name in connection.headers if name.startswith(_AS)})
    if not asked:
        return holder
    name, groups = connection.headers.get(_AS_USER, ""), connection.headers.getlist(_AS_GROUP)
    if not name:
        raise bad_request(f"{', '.join(asked)}: name the user too (Impersonate-User, kubectl's --as)")
    wanted = [("users", name), *(("groups", group) for group in groups)]
    wanted += [("uids", connection.headers[_AS_UID])] if _AS_UID in asked else []
    for plural, one in wanted:
        if not allowed(holder, "impersonate", plural, ""):
            why = f'User "{holder.name}" cannot impersonate resource "{plural}" in API group "" at the cluster scope'
            forbidden_to(connection, holder, why)
            raise forbidden(About("", plural, one), why)
    given = dict.fromkeys((*groups, *_groups_of(name), AUTHENTICATED))
    return User(name, tuple(given), connection.headers.get(_AS_UID, ""))


def _groups_of(name: str) -> tuple[str, ...]:
    """Those that a service account is always in."""
    namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
    if not name.startswith(_ACCOUNT) or not namespace or not account:
        return ()
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


async def _holder(connection: HTTPConnection, authenticate: Authenticate) -> User:
    """Whose token it is."""
    authorization = connection.headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        outcome = await authenticate(authorization[len(_BEARER) :].strip())
    elif authorization:
        outcome = Refused("it brings no bearer token")
    elif _IN_QUERY & connection.query_params.keys():
        outcome = Refused("a token in the query does not count: queries end up in logs")
    else:
        outcome = Refused("it brings no token")
    if isinstance(outcome, User):
        return outcome
    TURNED_AWAY.tell("401 for %s: %s", _asked(connection), outcome.why)
    raise unauthorized()


def forbidden_to(connection: HTTPConnection, user: User, why: str) -> None:
    """Write down that a known user asked for more than they may."""
    TURNED_AWAY.tell("403 for %s of %s: %s", _asked(connection), user.name, why)


def _asked(connection: HTTPConnection) -> str:
    """Where from and what for, without the query. Whatever a client writes stays on one line."""
    client = connection.client
    method = connection.scope.get("method", "WebSocket")
    path = repr(connection.url.path[:_LONGEST_PATH])
    return f"{method} {path} from {client.host if client else 'somewhere'}"
