"""YAML text becomes plain values with a mark for every field, straight from the C parser's events."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml import events

from meshwright.documents.document import Mark, Value
from meshwright.documents.problem import LimitProblem, SyntaxProblem, count_lines, from_yaml
from meshwright.documents.scalars import resolve

MAX_DEPTH = 100
MAX_ALIASED = 100_000  # values that aliases may repeat in one document: bounds "billion laughs"

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"


class Repeated(NamedTuple):
    """A field that stands twice in one mapping: the marks of the mapping, the name, and the second place."""

    inside: dict[str, Mark]
    name: str
    line: int
    column: int


@dataclass(slots=True)
class Raw:
    """One document of a text: its value, or the problem that ended it."""

    text: str
    value: Value = None
    mark: Mark = Mark(1, 1)
    repeated: list[Repeated] = field(default_factory=list[Repeated])
    problem: SyntaxProblem | None = None


def documents_of(text: str) -> Iterator[Raw]:
    """Every document, each parsed on its own, so that a broken one does not hide those after it."""
    for chunk, base in _chunks(text):
        yield from _parse(chunk, base)


def _chunks(text: str) -> Iterator[tuple[str, int]]:
    """The text cut at its `---` lines, with the number of lines before each piece.

    At the start of a line `---` always separates documents, even inside a quoted or block scalar.
    """
    starts = [match.start() for match in _SEPARATOR.finditer(text)]
    if starts and _only_directives(text[: starts[0]]):
        starts[0] = 0
    elif starts[:1] != [0]:
        starts.insert(0, 0)
    base = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        chunk = text[start:end]
        yield chunk, base
        base += count_lines(chunk)


def _only_directives(head: str) -> bool:
    """Whether nothing but `%YAML` lines, comments and blanks stands before the first separator."""
    return all(not line.strip() or line.lstrip()[0] in "%#" for line in head.splitlines())


def _parse(chunk: str, base: int) -> Iterator[Raw]:
    builder = _Builder(chunk, base)
    while True:
        raw = Raw(chunk)
        try:
            if not builder.next_document(raw):
                return
        except SyntaxProblem as problem:
            raw.problem = problem
            yield raw
            return
        except yaml.YAMLError as error:
            raw.problem = from_yaml(error, chunk, base)
            raw.problem.path = builder.broken_path
            yield raw
            return
        yield raw


class _Builder:
    """Turns events into values; one per chunk."""

    def __init__(self, chunk: str, base: int) -> None:
        self._base = base + 1
        parser: Any = yaml.CSafeLoader(chunk)
        self._next = parser.get_event
        self._anchors: dict[str, tuple[Value, Mark, int]] = {}
        self._open: set[str] = set()
        self._count = 0
        self._aliased = 0
        self._repeated: list[Repeated] = []
        self.broken_path: list[str | int] = []

    def next_document(self, raw: Raw) -> bool:
        """Fills `raw` with the next document; False at the end of the chunk."""
        while True:
            event = self._next()
            if event is None or isinstance(event, events.StreamEndEvent):
                return False
            if isinstance(event, events.DocumentStartEvent):
                break
        self._anchors.clear()
        self._aliased = self._count = 0
        self._repeated = raw.repeated
        raw.value, raw.mark = self._node(self._next(), 0)
        return True

    def _node(self, event: Any, depth: int) -> tuple[Value, Mark]:
        """The value that starts with `event`, and its mark."""
        kind = event.__class__
        mark = event.start_mark
        line, column = mark.line + self._base, mark.column + 1
        if kind is events.AliasEvent:
            return self._alias(event.anchor, line, column)
        self._count += 1
        anchor = event.anchor
        if kind is events.ScalarEvent:
            value = event.value if event.implicit[1] else self._scalar(event)
            made = Mark(line, column)
            if anchor is not None:
                self._anchors[anchor] = (value, made, 1)
            return value, made
        if depth >= MAX_DEPTH:
            raise LimitProblem(f"{MAX_DEPTH} levels", "", line, column)
        before = self._count
        if anchor is not None:
            self._open.add(anchor)
        if kind is events.MappingStartEvent:
            value, inside = self._mapping(depth + 1)
        else:
            value, inside = self._sequence(depth + 1)
        made = Mark(line, column, inside)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, made, self._count - before + 1)
        return value, made

    def _mapping(self, depth: int) -> tuple[Value, dict[str, Mark]]:
        values: dict[str, Value] = {}
        inside: dict[str, Mark] = {}
        merges: list[tuple[Value, Mark]] = []
        following = self._next
        name = ""
        try:
            while True:
                event = following()
                if event.__class__ is events.MappingEndEvent:
                    break
                name = self._name(event)
                mark = event.start_mark
                line, column = mark.line + self._base, mark.column + 1
                value, made = self._node(following(), depth)
                if name == "<<" and event.implicit[0]:
                    merges.append((value, made))
                    continue
                if name in values:
                    self._repeated.append(Repeated(inside, name, line, column))
                values[name] = value
                inside[name] = Mark(line, column, made.inside)
        except (SyntaxProblem, yaml.YAMLError) as problem:
            self._remember(problem, name)
            raise
        for value, made in merges:
            self._merge(values, inside, value, made)
        return values, inside

    def _sequence(self, depth: int) -> tuple[Value, list[Mark]]:
        values: list[Value] = []
        inside: list[Mark] = []
        following = self._next
        try:
            while True:
                event = following()
                if event.__class__ is events.SequenceEndEvent:
                    return values, inside
                value, made = self._node(event, depth)
                values.append(value)
                inside.append(made)
        except (SyntaxProblem, yaml.YAMLError) as problem:
            self._remember(problem, len(values))
            raise

    def _remember(self, problem: Exception, part: str | int) -> None:
        if part == "":
            return
        path = problem.path if isinstance(problem, SyntaxProblem) else self.broken_path
        path.insert(0, part)

    def _name(self, event: Any) -> str:
        """A field's name; only plain text can name a field."""
        if event.__class__ is events.ScalarEvent:
            self._count += 1
            return event.value
        mark = event.start_mark
        line = mark.line + self._base
        raise SyntaxProblem(
            "a field name must be text", f"put the name in line {line} in quotes", line, mark.column + 1
        )

    def _scalar(self, event: Any) -> Value:
        """The value of an unquoted or tagged scalar."""
        if event.implicit[0]:
            return resolve(event.value)
        tag = (event.tag or "").removeprefix(_TAG)
        if tag in ("str", "!", "binary", "timestamp"):
            return event.value
        if tag in ("int", "float", "bool", "null"):
            return resolve(event.value)
        mark = event.start_mark
        line = mark.line + self._base
        raise SyntaxProblem("a tag without a meaning here", "remove the `!` word", line, mark.column + 1)

    def _alias(self, anchor: str, line: int, column: int) -> tuple[Value, Mark]:
        if anchor in self._open:
            raise SyntaxProblem("an alias stands inside what it repeats", "write the values out", line, column)
        if anchor not in self._anchors:
            fix = f"define the anchor above line {line}, or put the value in quotes"
            raise SyntaxProblem("an alias (`*`) without an anchor (`&`)", fix, line, column)
        value, mark, count = self._anchors[anchor]
        self._aliased += count
        self._count += count
        if self._aliased > MAX_ALIASED:
            raise LimitProblem(f"{MAX_ALIASED} repeated values", "", line, column)
        return value, mark

    def _merge(self, values: dict[str, Value], inside: dict[str, Mark], value: Value, mark: Mark) -> None:
        """`<<`: fields that are not written here come from the other mapping (or mappings, the first wins)."""
        sources: list[tuple[Value, Mark]] = [(value, mark)]
        if isinstance(value, list) and isinstance(mark.inside, list):
            sources = list(zip(value, mark.inside, strict=True))
        for source, source_mark in sources:
            if not isinstance(source, dict) or not isinstance(source_mark.inside, dict):
                raise SyntaxProblem("`<<` takes a mapping", "give it an alias of a mapping", mark.line, mark.column)
            for name, item in source.items():
                if name not in values:
                    values[name] = item
                    inside[name] = source_mark.inside[name]
