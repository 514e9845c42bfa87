"""What a request is refused with: Kubernetes' Status objects, raised where the reason is found."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from meshwright.store.errors import (
    AlreadyExistsError,
    ConflictError,
    FieldRefusedError,
    GoneError,
    InvalidError,
    NotFoundError,
    OwnedError,
    StorageError,
    StoreError,
)
from meshwright.store.names import Json, Resource


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field, `path` as users write it. A warning does not refuse the object."""

    path: str
    message: str
    reason: str = "FieldValueInvalid"
    warning: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """The object that a Status speaks of, as `details` has it: `kind` is the plural there."""

    group: str = ""
    plural: str = ""
    name: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f'{Resource(self.group, self.plural)} "{self.name}"'

    def details(self) -> Json:
        said = {"name": self.name, "group": self.group, "kind": self.plural, "uid": self.uid}
        return {field: value for field, value in said.items() if value}


NOTHING = About()


class Failure(Exception):  # noqa: N818 - it is an answer to the client, not an error of ours
    """A Status of failure.

    `retry_after` (seconds) asks the client to come again; `allow` are a 405's methods; `detailed`: `details` is there
    even with nothing in it.
    """

    def __init__(  # noqa: PLR0913 - all but the first three are rare
        self,
        code: HTTPStatus,
        reason: str,
        message: str,
        about: About = NOTHING,
        causes: Iterable[FieldError] = (),
        *,
        retry_after: int = 0,
        allow: str = "",
        detailed: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.about = about
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.allow = allow
        self.detailed = detailed

    def status(self) -> Json:
        """The object that goes to the client."""
        details = self.about.details()
        if self.causes:
            details["causes"] = [
                {"reason": cause.reason, "message": cause.message, "field": cause.path} for cause in self.causes
            ]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        said: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if details or self.detailed:
            said["details"] = details
        return {**said, "code": int(self.code)}


def success(about: About) -> Json:
    """The Status that says that something is gone."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": about.details(),
    }


def bad_request(message: str) -> Failure:
    return Failure(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def no_such_page(why: str = "") -> Failure:
    """404 for a path. Clients look into its details for a name (`kubectl debug` fails without details)."""
    text = "the server could not find the requested resource" + (f": {why}" if why else "")
    return Failure(HTTPStatus.NOT_FOUND, "NotFound", text, detailed=True)


def not_found(about: About) -> Failure:
    return Failure(HTTPStatus.NOT_FOUND, "NotFound", f"{about} not found", about)


def already_exists(about: About) -> Failure:
    return Failure(HTTPStatus.CONFLICT, "AlreadyExists", f"{about} already exists", about)


def conflict(about: About, why: str, causes: Iterable[FieldError] = ()) -> Failure:
    return Failure(HTTPStatus.CONFLICT, "Conflict", why, about, causes)


def changed_meanwhile(about: About) -> Failure:
    return conflict(
        about,
        f"Operation cannot be fulfilled on {about}: the object has been modified; "
        "please apply your changes to the latest version and try again",
    )


def invalid(kind: str, about: About, errors: Iterable[FieldError]) -> Failure:
    """422 with every field error at once; `kind` is the kind's name, which `details` has here."""
    causes = tuple(errors)
    parts = [f"{cause.path}: {cause.message}" if cause.path else cause.message for cause in causes]
    text = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    named = f"{kind}.{about.group}" if about.group else kind
    message = f'{named} "{about.name}" is invalid: {text}'
    shown = About(about.group, kind, about.name, about.uid)
    return Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, shown, causes)


def unfit(why: str) -> Failure:
    """422 for what is no mistake of a field: without a cause, clients print the reason itself."""
    return Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", why)


def unauthorized() -> Failure:
    return Failure(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def forbidden(about: About, why: str) -> Failure:
    return Failure(HTTPStatus.FORBIDDEN, "Forbidden", f"{about} is forbidden: {why}", about)


def method_not_allowed(about: About = NOTHING, allow: str = "") -> Failure:
    return Failure(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        about,
        allow=allow,
    )


def bad_options(kind: str, causes: Iterable[FieldError]) -> Failure:
    """422 for options of a request that do not exist or do not go together; `kind` as in DeleteOptions."""
    return invalid(f"{kind}.meta.k8s.io", NOTHING, causes)


def unsupported_media(text: str) -> Failure:
    return Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", text)


def not_acceptable(text: str) -> Failure:
    return Failure(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", text)


def too_large(limit: int) -> Failure:
    return Failure(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", f"limit is {limit} bytes: the body is longer"
    )


def too_many(text: str) -> Failure:
    return Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", text)


def expired(message: str) -> Failure:
    return Failure(HTTPStatus.GONE, "Expired", message)


def internal(message: str) -> Failure:
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", f"Internal error occurred: {message}")


def unavailable(message: str) -> Failure:
    return Failure(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", message, retry_after=1)


def too_new(asked: int, newest: int) -> Failure:
    """A version that does not exist yet: the client may have talked to another server."""
    cause = FieldError("", "Too large resource version", "ResourceVersionTooLarge")
    return Failure(
        HTTPStatus.GATEWAY_TIMEOUT,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {newest}",
        causes=(cause,),
        retry_after=1,
    )


def raise_for_store(error: StoreError, about: About) -> NoReturn:
    """What the store refused, in the API's words. Raises Failure, always."""
    match error:
        case NotFoundError():
            raise not_found(about) from error
        case AlreadyExistsError():
            raise already_exists(_named(about, error.key.name)) from error
        case ConflictError():
            raise changed_meanwhile(about) from error
        case OwnedError():
            raise conflict(about, f"Operation cannot be fulfilled on {about}: {error}") from error
        case GoneError() if error.asked > error.newest:
            raise too_new(error.asked, error.newest) from error
        case GoneError():
            raise expired(f"too old resource version: {error.asked} ({error.oldest})") from error
        case FieldRefusedError():
            cause = FieldError(error.path, error.why)
            raise invalid(error.kind, _named(about, error.key.name), [cause]) from error
        case InvalidError():
            raise bad_request(str(error)) from error
        case StorageError():
            raise unavailable(f"the objects cannot be stored now: {error}") from error
        case _:
            raise internal(str(error)) from error


def _named(about: About, name: str) -> About:
    return About(about.group, about.plural, name)
