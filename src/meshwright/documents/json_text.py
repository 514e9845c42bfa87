"""JSON text becomes plain values with a mark for every field."""

import bisect
import json
import re
from collections.abc import Iterator
from typing import NoReturn

from meshwright.documents.document import Mark, Value
from meshwright.documents.problem import LimitProblem, SyntaxProblem
from meshwright.documents.yaml_text import MAX_DEPTH, Raw, Repeated

_STARTS = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_LONGEST_NUMBER = 400


def is_json(text: str) -> bool:
    """Whether the text starts like JSON (an object or list with quoted names): then it is read strictly."""
    return _STARTS.match(text) is not None


def documents_of(text: str) -> Iterator[Raw]:
    """The values that stand one after the other in the text."""
    places = _Places(text)
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)
    position = _skip_blanks(text, 0)
    while position < len(text):
        raw = Raw(text)
        try:
            _, end = decoder.raw_decode(text, position)
            raw.value, raw.mark = _Marker(text, position, end, places, raw.repeated).value(0)
        except json.JSONDecodeError as error:
            raw.problem = _explain(error, text, places)
            raw.problem.path = _path_at(text, position, error.pos)
        except ValueError as error:
            raw.problem = SyntaxProblem(str(error), "write a finite number", *places.of(position))
        except RecursionError:
            raw.problem = LimitProblem(f"{MAX_DEPTH} levels", "", *places.of(position))
        except SyntaxProblem as problem:
            raw.problem = problem
        else:
            yield raw
            position = _skip_blanks(text, end)
            continue
        yield raw
        return


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _explain(error: json.JSONDecodeError, text: str, places: "_Places") -> SyntaxProblem:
    """The decoder's exception in words that say what to change."""
    position = min(error.pos, len(text))
    before = text[:position].rstrip()
    found = text[position : position + 1]
    if found in ("}", "]") and before.endswith(","):
        line, column = places.of(len(before) - 1)
        return SyntaxProblem(
            "a comma before a closing bracket", f"remove the comma at the end of line {line}", line, column
        )
    line, column = places.of(position)
    if "property name" in error.msg and before.endswith(","):
        line, column = places.of(len(before) - 1)
        return SyntaxProblem(
            "a comma before a closing bracket", f"remove the comma at the end of line {line}", line, column
        )
    if "',' delimiter" in error.msg:
        line, column = places.of(max(len(before) - 1, 0))
        return SyntaxProblem("a comma is missing", f"write a comma at the end of line {line}", line, column)
    if position >= len(text):
        return SyntaxProblem("the text ends too early", "close the open brackets and quotes", line, column)
    return SyntaxProblem(error.msg[:1].lower() + error.msg[1:], f"correct line {line}", line, column)


def _path_at(text: str, start: int, end: int) -> list[str | int]:
    """The field in which the text stops being JSON."""
    steps: list[str | int | None] = []
    word = ""
    for token in _TOKEN.finditer(text, start, end):
        match token[0]:
            case "{":
                steps.append(None)
            case "[":
                steps.append(0)
            case "}" | "]":
                steps = steps[:-1]
            case ":" if steps and not isinstance(steps[-1], int):
                steps[-1] = word
            case "," if steps and isinstance(steps[-1], int):
                steps[-1] += 1
            case other:
                word = other.strip('"')
    return [step for step in steps if step is not None]


class _Places:
    """Line and column (from 1) of a position in the text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def of(self, position: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, position)
        return line, position - self._starts[line - 1] + 1


class _Marker:
    """Walks the tokens of text that is known to be JSON."""

    def __init__(self, text: str, start: int, end: int, places: _Places, repeated: list[Repeated]) -> None:
        self._tokens = _TOKEN.finditer(text, start, end)
        self._places = places
        self._repeated = repeated

    def value(self, depth: int) -> tuple[Value, Mark]:
        return self._value_of(next(self._tokens), depth)

    def _value_of(self, token: re.Match[str], depth: int) -> tuple[Value, Mark]:
        line, column = self._places.of(token.start())
        text = token[0]
        if text not in ("{", "["):
            return _literal(text), Mark(line, column)
        if depth >= MAX_DEPTH:
            raise LimitProblem(f"{MAX_DEPTH} levels", "", line, column)
        if text == "{":
            values, inside = self._object(depth + 1)
            return values, Mark(line, column, inside)
        items, marks = self._list(depth + 1)
        return items, Mark(line, column, marks)

    def _object(self, depth: int) -> tuple[dict[str, Value], dict[str, Mark]]:
        values: dict[str, Value] = {}
        inside: dict[str, Mark] = {}
        for token in self._tokens:
            if token[0] == "}":
                break
            if token[0] == ",":
                continue
            name = json.loads(token[0], strict=False)
            line, column = self._places.of(token.start())
            next(self._tokens)
            value, mark = self.value(depth)
            if name in values:
                self._repeated.append(Repeated(inside, name, line, column))
            values[name] = value
            inside[name] = Mark(line, column, mark.inside)
        return values, inside

    def _list(self, depth: int) -> tuple[list[Value], list[Mark]]:
        values: list[Value] = []
        inside: list[Mark] = []
        for token in self._tokens:
            if token[0] == "]":
                break
            if token[0] == ",":
                continue
            value, mark = self._value_of(token, depth)
            values.append(value)
            inside.append(mark)
        return values, inside


def _literal(text: str) -> Value:
    """A string, number or word."""
    if len(text) > _LONGEST_NUMBER and text[0] != '"':
        return text
    made: Value = json.loads(text)
    return text if made in (float("inf"), float("-inf")) else made
