"""Tokens of service accounts: who asks for one gets a signed one for a time, and it ends with the account."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from meshwright.apiserver import bodies
from meshwright.apiserver.access import AUTHENTICATED, Refused, User
from meshwright.apiserver.api import Part
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.failure import FieldError, bad_request, invalid, method_not_allowed, not_found
from meshwright.apiserver.json_web_tokens import TokenError, TokenKey
from meshwright.apiserver.negotiation import WHOLE, check_body_type
from meshwright.apiserver.options import Target
from meshwright.apiserver.values import Json, is_list, is_map, map_of
from meshwright.store.names import Key, Resource
from meshwright.store.store import Store

AUDIENCE = "https://kubernetes.default.svc"
"""Who issues the tokens, and whom those are for that open the object API."""
GROUP = "system:serviceaccounts"
PREFIX = "system:serviceaccount:"
SERVICE_ACCOUNTS = Resource("", "serviceaccounts")
USUAL, SHORTEST, LONGEST = timedelta(hours=1), timedelta(minutes=10), timedelta(hours=24)
MOST_AUDIENCES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """A service account, as it was when the token was made."""

    namespace: str
    name: str
    uid: str

    @property
    def user(self) -> User:
        """As whom it asks."""
        groups = (GROUP, f"{GROUP}:{self.namespace}", AUTHENTICATED)
        return User(f"{PREFIX}{self.namespace}:{self.name}", groups, self.uid)


class ServiceAccountTokens:
    """Issues and checks them. `clock` gives the time in UTC."""

    def __init__(self, store: Store, key: TokenKey, clock: Callable[[], datetime]) -> None:
        self._store = store
        self.definitions: Mapping[str, Json] = {}
        """Schemas; with them requests may come in protobuf, as kubectl sends them."""
        self._key = key
        self._clock = clock

    def issue(self, account: Account, lifetime: timedelta, audiences: tuple[str, ...] = (AUDIENCE,)) -> str:
        """A token for an account; the shortest and longest lifetimes are the asker's question."""
        now = int(self._clock().timestamp())
        user = {"name": account.name, "uid": account.uid}
        return self._key.sign({
            "iss": AUDIENCE,
            "sub": account.user.name,
            "aud": list(audiences),
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "kubernetes.io": {"namespace": account.namespace, "serviceaccount": user},
        })  # fmt: skip

    async def authenticate(self, token: str) -> User | Refused:
        """The account behind a token, or why there is none."""
        try:
            claims = self._key.claims(token)
            account = self._account(claims)
        except TokenError as error:
            return Refused(str(error))
        found = await self._store.find(Key(SERVICE_ACCOUNTS, account.namespace, account.name))
        if found is None:
            return Refused(f"the service account {account.namespace}/{account.name} is gone")
        if found.uid != account.uid:
            return Refused(f"it is of an earlier service account {account.namespace}/{account.name}")
        return account.user

    def _account(self, claims: Json) -> Account:
        """Raises TokenError when the claims do not hold here and now."""
        place = map_of(claims.get("kubernetes.io"))
        named = map_of(place.get("serviceaccount"))
        account = Account(str(place.get("namespace")), str(named.get("name")), str(named.get("uid")))
        whose = f"the token of the service account {account.namespace}/{account.name}"
        now, begin, end = self._clock().timestamp(), claims.get("nbf"), claims.get("exp")
        if not isinstance(begin, int) or not isinstance(end, int) or claims.get("sub") != account.user.name:
            raise TokenError("it is not whole")
        if now >= end:
            raise TokenError(f"{whose} has expired {int(now - end)} s ago")
        if now < begin:
            raise TokenError(f"{whose} counts only in {int(begin - now)} s")
        if AUDIENCE not in _texts(claims.get("aud")):
            raise TokenError(f"{whose} is for another audience")
        return account

    # ------------------------------------------------------------ the subresource `token`

    @property
    def part(self) -> Part:
        """`serviceaccounts/token`, to be served by the object API."""
        return Part(Subresource("serviceaccounts", "token", "TokenRequest", ("create",)), http=self._requested)

    async def _requested(self, request: Request, target: Target, _user: User) -> Response:
        if request.method != "POST":
            raise method_not_allowed(target.about)
        kind = check_body_type(request.headers.get("content-type", ""))
        value = bodies.parse_object(await bodies.read_body(request), kind, self.definitions)
        if value.get("kind") not in (None, "", "TokenRequest"):
            raise bad_request(f"the kind in the body ({value.get('kind')}) is not TokenRequest")
        spec = map_of(value.get("spec"))
        lifetime = _lifetime(spec.get("expirationSeconds"), target)
        audiences = _audiences(spec.get("audiences"), target)
        if is_map(spec.get("boundObjectRef")):
            error = FieldError("spec.boundObjectRef", "Unsupported value: tokens are bound to their account alone")
            raise invalid("TokenRequest", target.about, [error])
        found = await self._store.find(Key(SERVICE_ACCOUNTS, target.namespace, target.name))
        if found is None:
            raise not_found(target.about)
        account = Account(target.namespace, target.name, found.uid)
        status = {
            "token": self.issue(account, lifetime, audiences),
            "expirationTimestamp": _timestamp(self._clock() + lifetime),
        }
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account.name, "namespace": account.namespace, "creationTimestamp": None},
            "spec": {"audiences": list(audiences), "expirationSeconds": int(lifetime.total_seconds())},
            "status": status,
        }
        return Response(msgspec.json.encode(answer), HTTPStatus.CREATED, media_type=WHOLE.content_type)


def _lifetime(asked: object, target: Target) -> timedelta:
    """Raises Failure 422. What is longer than we give is shortened, and the answer says so."""
    if asked is None:
        return USUAL
    path = "spec.expirationSeconds"
    if not isinstance(asked, int) or isinstance(asked, bool) or not 0 < asked < 1 << 32:
        raise invalid("TokenRequest", target.about, [FieldError(path, "Invalid value: must be a number of seconds")])
    if asked < SHORTEST.total_seconds():
        why = f"Invalid value: {asked}: may not specify a duration less than 10 minutes"
        raise invalid("TokenRequest", target.about, [FieldError(path, why)])
    return min(timedelta(seconds=asked), LONGEST)


def _audiences(asked: object, target: Target) -> tuple[str, ...]:
    """Raises Failure 422."""
    if not asked:
        return (AUDIENCE,)
    found = _texts(asked)
    if not is_list(asked) or len(found) != len(asked) or len(found) > MOST_AUDIENCES:
        error = FieldError("spec.audiences", f"Invalid value: must be a list of at most {MOST_AUDIENCES} texts")
        raise invalid("TokenRequest", target.about, [error])
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if is_list(value) else ()


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
