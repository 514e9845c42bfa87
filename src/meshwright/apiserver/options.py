"""The path and the query of a request, read into values; what cannot be read is refused with a reason."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from starlette.datastructures import QueryParams

from meshwright.apiserver.failure import About, Failure, FieldError, bad_options, bad_request, no_such_page
from meshwright.apiserver.resources import ApiResource, Catalogue

E = TypeVar("E", bound=StrEnum)
LONGEST_MANAGER = 128
NAMESPACE_PARTS = frozenset({"status", "finalize"})
_MOST_PARTS = 3  # resource, name, subresource
_TRUE = frozenset({"", "1", "t", "T", "true", "True", "TRUE"})
_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means. `name` is empty for collections; `namespace` where it is cluster-wide or of all."""

    row: ApiResource
    version: str
    namespace: str
    name: str
    subresource: str

    @property
    def about(self) -> About:
        return About(self.row.group, self.row.plural, self.name)

    @property
    def api_version(self) -> str:
        return self.row.api_version(self.version)


def parse_target(catalogue: Catalogue, path: str) -> Target:
    """Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`. Raises Failure 404."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2 and parts[1] == "v1":  # noqa: PLR2004 - api, v1 and a resource
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:  # noqa: PLR2004 - apis, group, version and a resource
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_page()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == _MOST_PARTS and rest[2] in NAMESPACE_PARTS):  # noqa: PLR2004
        namespace, rest = rest[1], rest[2:]
    row = catalogue.find(group, version, rest[0])
    if row is None:
        where = f"{group}/{version}" if group else version
        why = f"this mesh has no {rest[0]} in {where}; kubectl api-resources lists what it has"
        raise no_such_page(why if rest[0] else "")
    if len(rest) > _MOST_PARTS or "" in rest:
        raise no_such_page()
    name = rest[1] if len(rest) > 1 else ""
    if bool(namespace) != row.namespaced and (namespace or name):
        raise no_such_page()
    return Target(row, version, namespace, name, rest[2] if len(rest) == _MOST_PARTS else "")


class Strictness(StrEnum):
    """What becomes of fields that a kind does not have."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


class Propagation(StrEnum):
    """What becomes of what a deleted object owns."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class Match(StrEnum):
    """How a list's resourceVersion is meant."""

    ANY = ""
    EXACT = "Exact"
    NOT_OLDER = "NotOlderThan"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of every write. `manager` is who owns the fields it sets."""

    dry_run: bool
    manager: str
    strictness: Strictness
    force: bool


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Of lists, watches and deletions of collections."""

    labels: str
    fields: str
    limit: int
    token: str
    version: str
    match: Match


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Of watches. `timeout` in seconds, 0 for none; `initial` None where the client leaves it to the version."""

    timeout: int
    bookmarks: bool
    initial: bool | None


def write_options(query: QueryParams, user_agent: str) -> WriteOptions:
    """Raises Failure 422 for values that no option has, 400 for what is no value."""
    manager = query.get("fieldManager", "")
    if len(manager) > LONGEST_MANAGER or not manager.isprintable():
        raise _bad_option("fieldManager", manager[:LONGEST_MANAGER], "printable text of at most 128 characters")
    default = user_agent.partition("/")[0].strip()[:LONGEST_MANAGER]
    return WriteOptions(
        dry_run=is_dry_run(query.getlist("dryRun")),
        manager=manager or (default if default.isprintable() and default else "unknown"),
        strictness=_choice(query, "fieldValidation", Strictness, Strictness.WARN),
        force=flag(query, "force"),
    )


def is_dry_run(values: list[str]) -> bool:
    """Raises Failure 422 for anything but All."""
    for value in values:
        if value != "All":
            raise _bad_option("dryRun", value, 'supported values: "All"')
    return bool(values)


def list_options(query: QueryParams) -> ListOptions:
    """Raises Failure 400."""
    return ListOptions(
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        limit=number(query, "limit"),
        token=query.get("continue", ""),
        version=_version(query.get("resourceVersion", "")),
        match=_choice(query, "resourceVersionMatch", Match, Match.ANY),
    )


def watch_options(query: QueryParams) -> WatchOptions:
    """Raises Failure 400."""
    return WatchOptions(
        timeout=number(query, "timeoutSeconds"),
        bookmarks=flag(query, "allowWatchBookmarks"),
        initial=flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def check_list(options: ListOptions, timing: WatchOptions) -> None:
    """Raises Failure 422 for options of a list that do not go together."""
    if timing.initial is not None:
        raise _forbidden("sendInitialEvents", "is forbidden for list")
    if options.match and options.token:
        raise _forbidden("resourceVersionMatch", "is forbidden when continue is provided")
    if options.match and not options.version:
        raise _forbidden("resourceVersionMatch", "is forbidden unless resourceVersion is provided")
    if options.match is Match.EXACT and options.version == "0":
        raise _forbidden("resourceVersionMatch", 'is forbidden to be "Exact" for resourceVersion "0"')


def check_watch(options: ListOptions, timing: WatchOptions) -> None:
    """Raises Failure 422 for options of a watch that do not go together."""
    if timing.initial is None and options.match:
        raise _forbidden("resourceVersionMatch", "is forbidden for watch unless sendInitialEvents is provided")
    if timing.initial is not None and options.match is not Match.NOT_OLDER:
        raise _forbidden("resourceVersionMatch", 'sendInitialEvents requires it to be "NotOlderThan"')


def _forbidden(name: str, why: str) -> Failure:
    return bad_options("ListOptions", [FieldError(name, f"Forbidden: {name} {why}", "FieldValueForbidden")])


def flag(query: QueryParams, name: str) -> bool:
    """A yes or no. Raises Failure 400."""
    text = query.get(name)
    if text is None or text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise bad_request(f'{name}: "{text[:40]}" is neither true nor false')


def number(query: QueryParams, name: str) -> int:
    """A number from 0, 0 where it is absent. Raises Failure 400."""
    text = query.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - more digits than any limit has
        raise bad_request(f'{name}: "{text[:40]}" is not a number')
    return int(text)


def _version(text: str) -> str:
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - of 64 bits
        raise Failure(
            HTTPStatus.BAD_REQUEST, "BadRequest", f'resourceVersion: invalid value: "{text[:40]}" is not a version'
        )
    return text


def _choice(query: QueryParams, name: str, kind: type[E], default: E) -> E:
    text = query.get(name)
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        names = ", ".join(f'"{choice}"' for choice in kind if choice)
        raise _bad_option(name, text, f"supported values: {names}") from None


def _bad_option(name: str, text: str, wanted: str) -> Failure:
    cause = FieldError(name, f'Unsupported value: "{text[:40]}": {wanted}', "FieldValueNotSupported")
    return Failure(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f"the options are invalid: {name}: {cause.message}",
        causes=(cause,),
    )
