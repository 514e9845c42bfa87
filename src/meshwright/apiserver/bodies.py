"""The body of a request becomes a value: bounded in size and depth, with the members that were written twice."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from meshwright.apiserver.failure import bad_request, too_large, unsupported_media
from meshwright.apiserver.negotiation import PROTOBUF, YAML
from meshwright.apiserver.protobuf import ProtobufError, decode
from meshwright.apiserver.schema_check import member
from meshwright.apiserver.values import Json, is_list, is_map, too_deep
from meshwright.documents.reader import read
from meshwright.model import codes

LIMIT = 3 * 1024 * 1024  # bytes, as an API server in front of etcd has it
_FILE = "the body"


async def read_body(request: Request, limit: int = LIMIT) -> bytes:
    """All of the body. Raises Failure 413."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


def parse(body: bytes, kind: str) -> Any:
    """The value of a JSON or YAML text. Raises Failure 400."""
    if kind == YAML:
        return _parse_yaml(body)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise bad_request(f"the body is not JSON: {problem}") from None
    return _bounded(value)


def _parse_yaml(body: bytes) -> Json:
    parsed = read(body, _FILE)
    wrong = [finding for finding in parsed.diagnostics if finding.code is not codes.DUPLICATE]
    if len(parsed.documents) != 1 or any(document.refused for document in parsed.documents):
        said = "; ".join(finding.message for finding in wrong) or "one object is expected"
        raise bad_request(f"the body cannot be read as YAML: {said}")
    return _bounded(_plain(parsed.documents[0].value))


def _plain(value: Any) -> Any:
    """Without the reader's own types."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _bounded(value: Any) -> Any:
    if too_deep(value):
        raise bad_request("the body is nested too deeply")
    return value


def parse_object(body: bytes, kind: str, definitions: Mapping[str, Json] | None = None) -> Json:
    """The same for a body that must be one object; with `definitions` also in protobuf. Raises Failure 400."""
    if not body:
        raise bad_request("the body is empty: an object is expected")
    value = _parse_protobuf(body, definitions or {}) if kind == PROTOBUF else parse(body, kind)
    if not is_map(value):
        raise bad_request("the body is no object")
    return value


def _parse_protobuf(body: bytes, definitions: Mapping[str, Json]) -> Json:
    try:
        return decode(body, definitions)
    except ProtobufError as problem:
        raise unsupported_media(f"the body cannot be read: {problem}") from None


class _Pairs(dict[str, Any]):
    """An object that knows which of its members were written twice."""

    twice: tuple[str, ...] = ()


def _pairs(members: list[tuple[str, Any]]) -> _Pairs:
    made = _Pairs(members)
    if len(made) < len(members):
        names = [name for name, _ in members]
        made.twice = tuple(name for name in made if names.count(name) > 1)
    return made


def repeated(body: bytes, kind: str) -> list[str]:
    """The paths of members that a JSON text has twice; the last of them counts."""
    if kind == PROTOBUF:
        return []
    if kind == YAML:
        return [finding.origin.path for finding in read(body, _FILE).diagnostics if finding.code is codes.DUPLICATE]
    try:
        value = json.loads(body, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    _collect(value, "", found)
    return found


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        found.extend(member(path, name) for name in value.twice)
    if is_map(value):
        for name, item in value.items():
            _collect(item, member(path, name), found)
    elif is_list(value):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)
