"""Objects in Kubernetes' protobuf form become JSON values: typed Go clients (kubectl create, helm) send them so.

Only bodies are read in this form, answers are always JSON: every client takes that. The format is four bytes of
mark, then an envelope that names kind and version, then the object's own message.
"""

import base64
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from meshwright.apiserver.schemas import REFERENCE
from meshwright.apiserver.values import Json, is_map
from meshwright.apiserver.wire_numbers import NUMBERS, PACKAGES

MARK = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_DEEPEST = 32
_INT64 = 1 << 63
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_OWN_PACKAGES = {"": "io.k8s.api.core", "apps": "io.k8s.api.apps", "discovery.k8s.io": "io.k8s.api.discovery"}
# Go writes fields that are no pointers even when they are empty, which in JSON they would not be
_POINTERS = frozenset({
    "allowPrivilegeEscalation", "automountServiceAccountToken", "blockOwnerDeletion", "controller",
    "activeDeadlineSeconds", "defaultMode", "enableServiceLinks", "fsGroup", "gracePeriodSeconds", "immutable",
    "mode", "optional", "orphanDependents", "partition", "privileged", "progressDeadlineSeconds",
    "readOnlyRootFilesystem", "ready", "replicas", "revisionHistoryLimit", "runAsGroup", "runAsNonRoot", "runAsUser",
    "serving", "terminating", "terminationGracePeriodSeconds", "tolerationSeconds", "value",
})  # fmt: skip
_STRUCTS = frozenset({
    "loadBalancer", "metadata", "resources", "spec", "status", "strategy", "updateStrategy", "template", "source",
})  # fmt: skip

_WITH_STATUS = frozenset({
    "io.k8s.api.core.v1.Namespace", "io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.Service",
    "io.k8s.api.apps.v1.Deployment", "io.k8s.api.apps.v1.ReplicaSet", "io.k8s.api.apps.v1.StatefulSet",
    "io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview", "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    "io.k8s.api.authentication.v1.TokenRequest", "io.k8s.api.authentication.v1.TokenReview",
})  # fmt: skip


class ProtobufError(Exception):
    """The body is not in this form, or has a field that is not known here; the text says which."""


def decode(body: bytes, definitions: Mapping[str, Json]) -> Json:
    """The object as a JSON value, with apiVersion and kind of the envelope. Raises ProtobufError."""
    if not body.startswith(MARK):
        raise ProtobufError("the mark of Kubernetes' protobuf form is missing")
    envelope = dict(_fields(body[len(MARK) :]))
    header = dict(_fields(_bytes(envelope.get(1, b""))))
    api_version, kind = _text(header.get(1, b"")), _text(header.get(2, b""))
    group, _, version = api_version.rpartition("/")
    package = _OWN_PACKAGES.get(group, f"io.k8s.api.{group.partition('.')[0]}")
    name = f"{_META}.{kind}" if kind == "DeleteOptions" else f"{package}.{version}.{kind}"
    if name not in definitions or name not in _numbers():
        raise ProtobufError(f"{api_version} {kind} is not known in this form: send JSON")
    value = _Decoder(definitions).message(_bytes(envelope.get(2, b"")), name, definitions[name], 0)
    return {**value, "apiVersion": api_version, "kind": kind}


@cache
def _numbers() -> Mapping[str, Mapping[int, str]]:
    """The table: the names of a message's fields by number."""
    found: dict[str, dict[int, str]] = {}
    for line in NUMBERS.replace("\n    ", " ").strip().splitlines():
        name, _, fields = line.partition(": ")
        package, _, message = name.partition(".")
        pairs = (field.split("=") for field in fields.split())
        found[f"{PACKAGES[package]}.{message}"] = {int(number): field for field, number in pairs}
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST_VARINT):
        if at + count >= len(data):
            break
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if not byte & 0x80:
            return value, at + count + 1
    raise ProtobufError("the message ends within a number")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message as they stand there: numbers, and values that are not looked into."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ProtobufError(f"wire type {kind} is not used by Kubernetes")
        if at + size > len(data):
            raise ProtobufError("the message ends within a field")
        yield tag >> 3, data[at : at + size]
        at += size


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("a number stands where a message is expected")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise ProtobufError("a text is not UTF-8") from None


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ProtobufError("a number is expected")
    return value - 2 * _INT64 if value >= _INT64 else value


class _Decoder:
    """Reads messages by the schemas of what they are in JSON."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions

    def message(self, data: bytes, name: str, schema: Json, depth: int) -> Json:
        """One message. `schema` has its fields, which are those of an outer one where it is embedded."""
        if depth > _DEEPEST:
            raise ProtobufError("the message is nested too deeply")
        numbers = _numbers().get(name)
        if numbers is None:
            raise ProtobufError(f"{name} is not known in this form: send JSON")
        fields: Json = schema.get("properties", {})
        out: Json = {}
        for number, value in _fields(data):
            field = numbers.get(number)
            if field is None or not (field.startswith("+") or field in fields):
                if value in (0, b"") or name in _WITH_STATUS:
                    continue  # a status is not the writer's
                raise ProtobufError(f"field {number} of {name} is not known in this form: send JSON")
            if field.startswith("+"):
                out.update(self.message(_bytes(value), f"io.k8s.api.core.v1.{field[1:]}", schema, depth + 1))
                continue
            self._put(out, field, value, fields[field], depth)
        return out

    def _put(self, out: Json, field: str, value: int | bytes, node: Json, depth: int) -> None:
        if node.get("type") == "array":
            out.setdefault(field, []).append(self._value(value, node["items"], depth))
        elif is_map(node.get("additionalProperties")):
            entry = dict(_fields(_bytes(value)))
            item = self._value(entry.get(2, b""), node["additionalProperties"], depth)
            out.setdefault(field, {})[_text(entry.get(1, b""))] = item
        else:
            made = self._value(value, node, depth)
            empty = made is None or made == "" or (made == {} and field in _STRUCTS)
            nothing = not isinstance(made, dict) and not made and field not in _POINTERS
            if not (empty or nothing):
                out[field] = made

    def _value(self, value: int | bytes, node: Json, depth: int) -> Any:
        reference = node.get("$ref") or (node["allOf"][0]["$ref"] if "allOf" in node else None)
        if reference is not None:
            name = reference.removeprefix(REFERENCE)
            special = _SPECIAL.get(name.rpartition(".")[2])
            if special is not None:
                return special(_bytes(value))
            return self.message(_bytes(value), name, self._definitions[name], depth + 1)
        match node.get("type"):
            case "integer":
                return _number(value)
            case "boolean":
                return _number(value) != 0
            case "number":
                return struct.unpack("<d", _bytes(value))[0]
            case _ if node.get("format") == "byte":
                return base64.b64encode(_bytes(value)).decode()
            case _:
                return _text(value)


def _time(data: bytes) -> str | None:
    fields = dict(_fields(data))
    if 1 not in fields:
        return None
    try:
        return datetime.fromtimestamp(_number(fields[1]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise ProtobufError("a time is out of range") from None


def _int_or_string(data: bytes) -> int | str:
    fields = dict(_fields(data))
    return _text(fields.get(3, b"")) if fields.get(1) == 1 else _number(fields.get(2, 0))


def _quantity(data: bytes) -> str:
    return _text(dict(_fields(data)).get(1, b""))


def _fields_v1(data: bytes) -> Any:
    raw = _bytes(dict(_fields(data)).get(1, b"{}"))
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        raise ProtobufError("managedFields are not JSON") from None


_SPECIAL = {
    "Time": _time,
    "MicroTime": _time,
    "IntOrString": _int_or_string,
    "Quantity": _quantity,
    "FieldsV1": _fields_v1,
}
