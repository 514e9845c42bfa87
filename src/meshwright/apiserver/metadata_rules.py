"""What every object's metadata must look like, whatever its kind."""

import re
from collections.abc import Iterator

from meshwright.apiserver.failure import FieldError
from meshwright.apiserver.options import Target
from meshwright.apiserver.schema_check import member
from meshwright.apiserver.values import Json, is_list, is_map, metadata_of

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_STARTS_WITH_LETTER = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LONGEST_NAME = 253
_LONGEST_ANNOTATIONS = 256 * 1024
_LABEL_NAMES = frozenset({"Namespace"})
_LETTER_NAMES = frozenset({"Service"})


def metadata_errors(value: Json, target: Target) -> Iterator[FieldError]:
    """Everything that is wrong with `metadata`."""
    metadata = metadata_of(value)
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if not name and not prefix:
        yield FieldError("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
    elif name and (said := name_problem(str(name), target.row.kind)):
        yield FieldError("metadata.name", f'Invalid value: "{str(name)[:80]}": {said}')
    elif not name and (said := name_problem(f"{prefix}x", target.row.kind)):
        yield FieldError("metadata.generateName", f'Invalid value: "{str(prefix)[:80]}": {said}')
    yield from _labels(metadata.get("labels"))
    yield from _annotations(metadata.get("annotations"))
    yield from _owners(metadata.get("ownerReferences"))
    yield from _finalizers(metadata.get("finalizers"))


def name_problem(name: str, kind: str) -> str:
    """Why this is no name for an object of a kind; empty where it is one."""
    if kind in _LABEL_NAMES and not _LABEL.match(name):
        return "a name has at most 63 lower case letters, digits and -, and starts and ends with a letter or digit"
    if kind in _LETTER_NAMES and not _STARTS_WITH_LETTER.match(name):
        return "a name has at most 63 lower case letters, digits and -, starts with a letter, ends with no -"
    if len(name) > _LONGEST_NAME or not _SUBDOMAIN.match(name):
        return (
            "a name has at most 253 lower case letters, digits, - and ., and starts and ends with a letter or digit"
        )
    return ""


def _labels(labels: object) -> Iterator[FieldError]:
    if labels is not None and not is_map(labels):
        yield FieldError("metadata.labels", "Invalid value: must be an object", "FieldValueTypeInvalid")
        return
    for key, value in (labels or {}).items():
        yield from _key(key, "metadata.labels")
        if value is not None and (not isinstance(value, str) or (value and not _PART.match(value))):
            where = member("metadata.labels", key)
            yield FieldError(
                where,
                f"Invalid value: {_shown(value)}: a label is a text of at most 63 letters, digits, -, _ and ., "
                "and starts and ends with a letter or digit",
            )


def _shown(value: object) -> str:
    return f'"{value[:80]}"' if isinstance(value, str) else str(value)[:80]


def _key(key: str, path: str) -> Iterator[FieldError]:
    prefix, slash, name = key.rpartition("/")
    good = _PART.match(name) and (not slash or (_SUBDOMAIN.match(prefix) and len(prefix) <= _LONGEST_NAME))
    if not good:
        yield FieldError(path, f'Invalid value: "{key[:80]}": a key is a name of at most 63 letters, digits, -, _ '
                               "and ., with an optional domain and / before it")  # fmt: skip


def _annotations(annotations: object) -> Iterator[FieldError]:
    if annotations is not None and not is_map(annotations):
        yield FieldError("metadata.annotations", "Invalid value: must be an object", "FieldValueTypeInvalid")
        return
    size = 0
    for key, value in (annotations or {}).items():
        yield from _key(key.lower(), "metadata.annotations")
        if value is not None and not isinstance(value, str):
            yield FieldError(member("metadata.annotations", key), "Invalid value: must be a text (use quotes)",
                             "FieldValueTypeInvalid")  # fmt: skip
        size += len(key) + len(str(value))
    if size > _LONGEST_ANNOTATIONS:
        yield FieldError("metadata.annotations", f"Too long: may not be more than {_LONGEST_ANNOTATIONS} bytes",
                         "FieldValueTooLong")  # fmt: skip


def _owners(owners: object) -> Iterator[FieldError]:
    controllers = 0
    for index, owner in enumerate(owners if is_list(owners) else ()):
        path = f"metadata.ownerReferences[{index}]"
        for name in ("apiVersion", "kind", "name", "uid"):
            if not is_map(owner) or not isinstance(owner.get(name), str) or not owner[name]:
                yield FieldError(f"{path}.{name}", "Required value", "FieldValueRequired")
        controllers += is_map(owner) and owner.get("controller") is True
    if controllers > 1:
        yield FieldError("metadata.ownerReferences", "Invalid value: only one reference can have controller: true")


def _finalizers(finalizers: object) -> Iterator[FieldError]:
    for index, finalizer in enumerate(finalizers if is_list(finalizers) else ()):
        if not isinstance(finalizer, str) or not finalizer:
            yield FieldError(f"metadata.finalizers[{index}]", "Invalid value: must be a text that is not empty")
        else:
            yield from _key(finalizer, f"metadata.finalizers[{index}]")
