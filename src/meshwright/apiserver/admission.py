"""What a writer sent becomes an object that can be stored, or everything that is wrong with it is said at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from meshwright.apiserver.api import Api
from meshwright.apiserver.content_rules import content_errors
from meshwright.apiserver.defaults import at_first, carried, with_defaults
from meshwright.apiserver.failure import About, Failure, FieldError, bad_request, conflict, invalid
from meshwright.apiserver.immutable import immutable_errors
from meshwright.apiserver.metadata_rules import metadata_errors
from meshwright.apiserver.options import Strictness, Target
from meshwright.apiserver.schema_check import Findings, check, pruned
from meshwright.apiserver.values import Json, is_map, metadata_of, without_nulls

_MOST_SHOWN = 100
_MAPS = ("metadata.labels", "metadata.annotations")


@dataclass(slots=True)
class Admitted:
    """An object in its stored version, and what the writer should know although it was taken."""

    value: Json
    warnings: list[str] = field(default_factory=list[str])


def check_header(value: Json, target: Target) -> Json:
    """The object with kind, apiVersion, namespace and name of the path. Raises Failure 400 where it has others."""
    kind, api_version = value.get("kind"), value.get("apiVersion")
    row = target.row
    if kind not in (None, "", row.kind):
        raise bad_request(f"the kind in the body ({kind}) is not that of the path ({row.kind})")
    if api_version not in (None, "", target.api_version):
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({target.api_version})"
        )
    if "metadata" in value and not is_map(value["metadata"]) and value["metadata"] is not None:
        raise bad_request("metadata must be an object")
    metadata = {name: item for name, item in metadata_of(value).items() if item is not None}
    namespace, name = metadata.get("namespace") or target.namespace, metadata.get("name") or target.name
    if namespace != target.namespace and row.namespaced:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request "
            f"({namespace} is not {target.namespace})"
        )
    if target.name and name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    metadata.pop("namespace", None)
    if target.namespace:
        metadata["namespace"] = target.namespace
    if name:
        if not isinstance(name, str):
            raise bad_request("metadata.name must be a text")
        metadata["name"] = name
    return {**value, "apiVersion": row.api_version(row.storage), "kind": row.kind, "metadata": metadata}


def admit(
    api: Api, target: Target, value: Json, before: Json | None, strictness: Strictness, twice: Sequence[str] = ()
) -> Admitted:
    """The object, checked and filled in. `twice` are fields that the text had twice.

    Raises Failure: 400 where strictness forbids unknown or repeated fields, 422 with all other errors.
    """
    row = target.row
    checked: Json = without_nulls(check_header(value, target))
    if row.has_status or row.kind == "Namespace":
        checked.pop("status", None)
    filled = with_defaults(checked, row.kind)
    filled = at_first(filled, row.kind) if before is None else carried(before, filled, row.kind)
    shape = api.schemas.shape(row)
    findings = check(filled, shape, types=row.is_core)
    whole = filled
    if findings.unknown and strictness is not Strictness.STRICT:
        whole = pruned(filled, shape)
    errors = [*findings.errors, *metadata_errors(whole, target), *content_errors(whole, row.kind)]
    errors += api.validate(_with_name(whole))
    if before is not None:
        errors += immutable_errors(before, whole, row.kind)
    return _judge(target, whole, _Wrong(findings, _each_once(errors), tuple(twice)), strictness)


def _with_name(value: Json) -> Json:
    """For rules that want a name: one such as the server will make."""
    metadata = metadata_of(value)
    if metadata.get("name") or not metadata.get("generateName"):
        return value
    return {**value, "metadata": {**metadata, "name": f"{metadata['generateName']}00000"}}


@dataclass(frozen=True, slots=True)
class _Wrong:
    """All that was found, by origin."""

    findings: Findings
    errors: list[FieldError]
    twice: tuple[str, ...]


def _each_once(errors: list[FieldError]) -> list[FieldError]:
    """One error per field: the last one, as rules of the kind itself come last and say most. Of labels and
    annotations the map is the field: what is said of it is not said again of its members.
    """
    by_path = {(error.path, error.warning): error for error in errors}
    whole = tuple(f"{path}." for path in _MAPS if (path, False) in by_path)
    return [error for error in by_path.values() if not error.path.startswith(whole)]


def _judge(target: Target, value: Json, wrong: _Wrong, strictness: Strictness) -> Admitted:
    refused = [error for error in wrong.errors if not error.warning]
    strict = [f'unknown field "{path}"' for path in wrong.findings.unknown]
    strict += [f'duplicate field "{path}"' for path in wrong.twice]
    about = target.about
    if strict and strictness is Strictness.STRICT:
        unknown = set(wrong.findings.unknown)
        advice = {error.path: error.message for error in refused}
        others = [error for error in refused if error.path not in unknown]
        causes = [
            FieldError(path, advice.get(path, "unknown field"), "FieldValueNotSupported")
            for path in wrong.findings.unknown
        ]
        if others:
            raise invalid(target.row.kind, _named(target, value), [*others, *causes])
        raise Failure(
            HTTPStatus.BAD_REQUEST,
            "BadRequest",
            f'{target.row.kind} in version "{target.version}" cannot be handled as a {target.row.kind}: '
            f"strict decoding error: {', '.join(_advised(strict, advice, wrong.findings.unknown)[:_MOST_SHOWN])}",
            about,
            causes[:_MOST_SHOWN],
        )
    if refused:
        raise invalid(target.row.kind, _named(target, value), refused[:_MOST_SHOWN])
    warnings = [f"{error.path}: {error.message}" for error in wrong.errors if error.warning]
    if strictness is Strictness.WARN:
        warnings = [*strict, *warnings]
    return Admitted(value, warnings)


def _advised(strict: list[str], advice: dict[str, str], unknown: list[str]) -> list[str]:
    """Each unknown field with what was probably meant, where somebody knows that."""
    hints = [advice.get(path, "").partition(": ")[2] for path in unknown] + [""] * len(strict)
    return [f"{said} ({hint})" if hint else said for said, hint in zip(strict, hints, strict=False)]


def _named(target: Target, value: Json) -> About:
    metadata = metadata_of(value)
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    return About(target.row.group, target.row.plural, name)


def sent_revision(value: Json) -> str:
    """The resourceVersion that a writer read, empty for any. Raises Failure 400 and 409."""
    text = metadata_of(value).get("resourceVersion") or ""
    if not isinstance(text, str) or (text and not (text.isascii() and text.isdigit())):
        raise bad_request("metadata.resourceVersion is not a version of this server")
    return text


def check_uid(value: Json, current: str, target: Target) -> None:
    """Raises Failure 409 where the writer means an object that had this name before."""
    uid = metadata_of(value).get("uid")
    if uid and uid != current:
        raise conflict(
            target.about,
            f"Operation cannot be fulfilled on {target.about}: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {current}",
        )
