"""Who asks, and whether they may: bearer tokens, users, and the one question before every handler."""

import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshwright.apiserver.failure import unauthorized
from meshwright.apiserver.values import Json, dig, is_map

ADMIN = "meshwright-admin"
MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
_BEARER = "bearer "
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class User:
    """Who sent a request."""

    name: str
    groups: tuple[str, ...] = ()


Allowed = Callable[[User, str, str, str], bool]
"""(user, verb, kind, namespace): whether they may. `kind` is `plural.group` or `plural.group/subresource` (core
kinds without a group), `*` for any; the namespace is empty for cluster-wide kinds and for all namespaces at once.
"""
Authenticate = Callable[[str], User | None]
"""The user of a bearer token; None where nobody has it."""


def admins_only(user: User, _verb: str, _kind: str, _namespace: str) -> bool:
    """The rule by default: the holder of the admin token may do everything, others nothing."""
    return MASTERS in user.groups


def only_token(token: str) -> Authenticate:
    """One token, of the admin. Compared in constant time."""
    admin = User(ADMIN, (MASTERS, AUTHENTICATED))
    expected = token.encode()
    return lambda sent: admin if hmac.compare_digest(sent.encode(), expected) else None


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


def user_of(authorization: str, authenticate: Authenticate) -> User:
    """The user behind an Authorization header. Raises Failure 401."""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        user = authenticate(authorization[len(_BEARER) :].strip())
        if user is not None:
            return user
    raise unauthorized()


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
    return {**value, "status": {"userInfo": {"username": user.name, "groups": list(user.groups)}}}


def kind_name(group: str, plural: str, subresource: str = "") -> str:
    """A kind as `allowed` is asked for it."""
    name = f"{plural}.{group}" if group else plural
    return f"{name}/{subresource}" if subresource else name
