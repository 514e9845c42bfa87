"""Documents that have lost their indentation, as text copied from a web page may, get it back from the schema.

What stands below what is not written any more, but which fields an object can have is known. Every way to read the
lines is tried; a document is mended when exactly one of them is an object that its kind's reader takes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import yaml

from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects
from meshwright.kinds.schema import ListOf, MapOf, Object, Type
from meshwright.kinds.table import KINDS, Kind
from meshwright.model.diagnostic import Effect

_MOST_LINES = 400
_MOST_STEPS = 20_000
_MOST_READINGS = 50
_SEPARATOR = re.compile(r"(?m)^---[ \t]*$")
_BLOCK = re.compile(r"[:-] [|>][-+0-9]*$")
_KINDS = {(version, kind.kind): kind for kind in KINDS for version in kind.api_versions}
_REFUSING = (Effect.REFUSED, Effect.DENIED)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Line:
    """`- key: value`: whether there is a dash, and what follows it; key None for a value alone, value None for a key
    alone.
    """

    dash: bool
    key: str | None
    value: Any


class _TooMuchError(Exception):
    """There are too many ways to read it."""


def mended(text: str) -> str | None:
    """The same documents with indentation, without comments; None when they are not flush left all over, can be read
    as they are, or when it is not certain what was meant.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or any(line[0].isspace() for line in lines) or not _is_refused(text):
        return None
    documents: list[str] = []
    for part in _SEPARATOR.split(text):
        if part.strip():
            found = _document(part)
            if found is None:
                return None
            documents.append(found)
    return "---\n".join(documents)


def _is_refused(text: str) -> bool:
    return any(found.code.effect in _REFUSING for found in read_objects([read(text, "the text")]).diagnostics)


def _document(text: str) -> str | None:
    if not _is_refused(text):
        return f"{text.strip()}\n"
    lines = _lines(text)
    kind = None if lines is None else _kind(lines)
    if lines is None or kind is None:
        return None
    found: dict[str, None] = {}
    try:
        for value in _Readings(lines).of(kind.schema):
            written = yaml.safe_dump(value, sort_keys=False)
            if written not in found and not _is_refused(written):
                found[written] = None
            if len(found) > 1:
                return None
    except _TooMuchError:
        return None
    return next(iter(found), None)


def _lines(text: str) -> list[_Line] | None:
    """None for lines that mean more than a key, a value or both: a block of text, a list in a list."""
    found: list[_Line] = []
    for line in text.splitlines():
        rest = line.strip()
        if not rest or rest.startswith("#"):
            continue
        dash = rest.startswith("- ")
        rest = rest[2:].strip() if dash else rest
        if not rest or rest.startswith("- ") or _BLOCK.search(f": {rest}"):
            return None
        try:
            value: Any = yaml.safe_load(rest)
        except yaml.YAMLError:
            return None
        pair = _pair(value) if not rest.startswith("{") else None
        found.append(_Line(dash, None, value) if pair is None else _Line(dash, *pair))
    return found if len(found) <= _MOST_LINES else None


def _pair(value: Any) -> tuple[str, Any] | None:
    """Key and value of a map of one."""
    if not isinstance(value, dict) or len(cast("Json", value)) != 1:
        return None
    [(key, inner)] = cast("Json", value).items()
    return str(key), inner


def _kind(lines: Sequence[_Line]) -> Kind | None:
    named = {line.key: line.value for line in reversed(lines) if line.key in {"apiVersion", "kind"}}
    return _KINDS.get((str(named.get("apiVersion")), str(named.get("kind"))))


class _Readings:
    """All the ways to read some lines as a value of a type."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        self._lines = lines
        self._steps = 0

    def of(self, schema: Object) -> Iterator[Json]:
        """Those that use every line. Raises _TooMuchError."""
        complete = 0
        for value, end in self._members(schema, 0, {}, opened=False):
            if end == len(self._lines):
                complete += 1
                if complete > _MOST_READINGS:
                    raise _TooMuchError
                yield value

    def _members(self, schema: Object | MapOf, at: int, got: Json, *, opened: bool) -> Iterator[tuple[Json, int]]:
        """The rest of an object from line `at` on; `opened`: the dash of that line is the one before this object."""
        self._step()
        if got:
            yield got, at
        if at == len(self._lines):
            return
        line = self._lines[at]
        if line.key is None or line.dash is not opened or line.key in got:
            return
        if isinstance(schema, MapOf):
            inner: Type | None = schema.value
        else:
            inner = schema.fields.get(line.key)
        if inner is None:
            return
        for value, end in self._value(inner, line.value, at + 1):
            yield from self._members(schema, end, {**got, line.key: value}, opened=False)

    def _value(self, schema: Type, written: Any, at: int) -> Iterator[tuple[Any, int]]:
        """What a key stands for: what is written beside it, or what begins at line `at`."""
        if written is not None:
            if not isinstance(schema, Object | MapOf | ListOf) or isinstance(written, dict | list):
                yield written, at
        elif isinstance(schema, Object | MapOf):
            yield from self._members(schema, at, {}, opened=False)
        elif isinstance(schema, ListOf):
            yield from self._items(schema.item, at, [])

    def _items(self, item: Type, at: int, got: list[Any]) -> Iterator[tuple[list[Any], int]]:
        self._step()
        if got:
            yield got, at
        if at == len(self._lines) or not self._lines[at].dash:
            return
        line = self._lines[at]
        if isinstance(item, Object | MapOf) and line.key is not None:
            for value, end in self._members(item, at, {}, opened=True):
                yield from self._items(item, end, [*got, value])
        elif line.key is None and isinstance(line.value, dict) is isinstance(item, Object | MapOf):
            yield from self._items(item, at + 1, [*got, line.value])

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _TooMuchError
