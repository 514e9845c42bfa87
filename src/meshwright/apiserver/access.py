"""Who asks, and whether they may: bearer tokens, users, and the one question before every handler."""

import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from meshwright.apiserver.values import Json, dig, is_map

ADMIN = "meshwright-admin"
MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class User:
    """Who sent a request."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    def as_info(self) -> Json:
        """As reviews show a user."""
        info: Json = {"username": self.name, "groups": list(self.groups)}
        return {**info, "uid": self.uid} if self.uid else info


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody stands behind a token; for our log, not for who sent it."""

    why: str


Allowed = Callable[[User, str, str, str], bool]
"""(user, verb, kind, namespace): whether they may. `kind` is `plural.group` or `plural.group/subresource` (core
kinds without a group), `*` for any; the namespace is empty for cluster-wide kinds and for all namespaces at once.
"""
Authenticate = Callable[[str], Awaitable[User | Refused]]
"""The user of a bearer token."""


def admins_only(user: User, _verb: str, _kind: str, _namespace: str) -> bool:
    """The rule by default: the holder of the admin token may do everything, others nothing."""
    return MASTERS in user.groups


def only_token(token: str) -> Authenticate:
    """One token, of the admin. Compared in constant time."""
    admin = User(ADMIN, (MASTERS, AUTHENTICATED))
    expected = token.encode()

    async def authenticate(sent: str) -> User | Refused:
        return admin if hmac.compare_digest(sent.encode(), expected) else Refused("its token is not known here")

    return authenticate


def one_of(first: Authenticate, second: Authenticate) -> Authenticate:
    """Who is known to either; the reasons of the second count."""

    async def authenticate(sent: str) -> User | Refused:
        found = await first(sent)
        return found if isinstance(found, User) else await second(sent)

    return authenticate


def keep_token(path: Path) -> str:
    """The token in a file, made at random (0600) where there is none. Raises OSError."""
    if path.exists() and (token := path.read_text().strip()):
        path.chmod(0o600)
        return token
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    write_private(path, token + "\n")
    return token


def write_private(path: Path, text: str) -> None:
    """Replaces a file by one that only its owner reads, at once or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.new")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    unfinished.replace(path)


# ------------------------------------------------------------ reviews: what may I?
def access_review(value: Json, user: User, allowed: Allowed) -> Json:
    """SelfSubjectAccessReview: the answer stands in `status`."""
    asked = dig(value, "spec", "resourceAttributes")
    if is_map(asked):
        part = asked.get("subresource")
        plural, group = str(asked.get("resource") or "*"), str(asked.get("group") or "")
        kind = kind_name(group if group != "*" else "", plural, str(part) if part else "")
        answer = allowed(user, str(asked.get("verb") or "*"), kind, str(asked.get("namespace") or ""))
    else:
        answer = True  # paths that are no resources (versions, schemas, health) are open to every user
    return {**value, "status": {"allowed": answer}}


def rules_review(value: Json, user: User, allowed: Allowed) -> Json:
    """SelfSubjectRulesReview: everything, or nothing but what every user may."""
    namespace = str(dig(value, "spec", "namespace") or "")
    everything = allowed(user, "*", "*", namespace)
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}] if everything else []
    reviews = {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"]}
    paths = {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version"]}
    status = {"resourceRules": [*rules, reviews], "nonResourceRules": [paths], "incomplete": not everything}
    return {**value, "status": status}


def who_am_i(value: Json, user: User) -> Json:
    """SelfSubjectReview."""
    return {**value, "status": {"userInfo": user.as_info()}}


async def token_review(value: Json, authenticate: Authenticate) -> Json:
    """TokenReview: whose token is this? The token is not given back."""
    sent = dig(value, "spec", "token")
    outcome = await authenticate(sent) if isinstance(sent, str) and sent else Refused("there is none")
    if isinstance(outcome, User):
        return {**value, "spec": {}, "status": {"authenticated": True, "user": outcome.as_info()}}
    return {**value, "spec": {}, "status": {"authenticated": False, "error": outcome.why}}


def kind_name(group: str, plural: str, subresource: str = "") -> str:
    """A kind as `allowed` is asked for it."""
    name = f"{plural}.{group}" if group else plural
    return f"{name}/{subresource}" if subresource else name
