"""Rules of what ConfigMaps and Secrets hold."""

import re
from collections.abc import Iterator

from meshwright.apiserver.failure import FieldError
from meshwright.apiserver.schema_check import member
from meshwright.apiserver.values import Json, map_of

MOST_BYTES = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")
_HOLDERS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data",)}


def content_errors(value: Json, kind: str) -> Iterator[FieldError]:
    """Keys that are no file names, keys that are there twice, and more than fits."""
    size = 0
    seen: set[str] = set()
    for field in _HOLDERS.get(kind, ()):
        for key, item in map_of(value.get(field)).items():
            where = member(field, key)
            if not _KEY.match(key) or key in (".", ".."):
                yield FieldError(
                    where,
                    f'Invalid value: "{key[:80]}": a valid config key must consist of alphanumeric characters, '
                    "'-', '_' or '.', and has at most 253 of them",
                )
            if key in seen:
                yield FieldError(where, "Invalid value: duplicate of key present in data")
            seen.add(key)
            size += len(item.encode()) if isinstance(item, str) else 0
    if size > MOST_BYTES:
        yield FieldError("data", f"Too long: may not be more than {MOST_BYTES} bytes", "FieldValueTooLong")
