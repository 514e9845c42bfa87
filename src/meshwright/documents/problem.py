"""What can be wrong with a text: the value that the two parsers report, and the words for YAML's mistakes."""

import re
from dataclasses import dataclass

import yaml

_LINE_BREAK = re.compile("[\n\x85\u2028\u2029]")  # what YAML counts as one


def count_lines(text: str) -> int:
    """The number of line breaks as the YAML parser counts them."""
    return text.count("\n") if text.isascii() else len(_LINE_BREAK.findall(text))


class SyntaxProblem(Exception):  # noqa: N818  (a control flow of the two parsers, never seen outside this package)
    """The text stops being readable here. `path` collects the field path while the parser unwinds."""

    def __init__(self, sentence: str, fix: str, line: int, column: int) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fix = fix
        self.line = line
        self.column = column
        self.path: list[str | int] = []


class LimitProblem(SyntaxProblem):
    """The text is readable but larger than allowed; `sentence` names the limit."""


# For these the parser's own mark is where it gave up; the mistake is where the thing started.
_EXPLAINED_BY_START = ("':'", "end of stream")


@dataclass(frozen=True, slots=True)
class _Where:
    """The lines around a problem; `line` counts from 0 in the chunk."""

    lines: list[str]
    line: int
    base: int

    @property
    def number(self) -> int:
        return self.line + self.base + 1

    @property
    def text(self) -> str:
        return self.lines[self.line] if 0 <= self.line < len(self.lines) else ""

    @property
    def indentation(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip())]

    @property
    def before(self) -> "_Where":
        """The nearest line above that is not empty."""
        line = max(min(self.line, len(self.lines)) - 1, 0)
        while line > 0 and not self.lines[line].strip():
            line -= 1
        return _Where(self.lines, line, self.base)


def from_yaml(error: yaml.YAMLError, chunk: str, base: int) -> SyntaxProblem:
    """The parser's exception in words that say what to change; `base` = lines of the file before the chunk."""
    lines = _LINE_BREAK.split(chunk)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _unreadable_character(error, chunk, base)
    mark = error.problem_mark
    line = mark.line
    problem = error.problem or "unknown problem"
    if error.context_mark is not None and any(words in problem for words in _EXPLAINED_BY_START):
        mark = error.context_mark
        line = mark.line
    where = _Where(lines, line, base)
    if not where.text.strip():  # the end of the text: the last line that says something is the one to look at
        where = where.before
    sentence, fix, line = _explain(problem, where, mark.column)
    return SyntaxProblem(sentence, fix, line + base + 1, mark.column + 1)


def _explain(problem: str, where: _Where, column: int) -> tuple[str, str, int]:
    """Sentence, fix and line (from 0 in the chunk)."""
    here = where.number
    if "\t" in where.indentation:
        return "a tab in the indentation", f"replace the tab at the start of line {here} by spaces", where.line
    if "mapping values" in problem:
        return _mapping_values(where, column)
    table = {
        "could not find expected ':'": ("a field without a colon", f"write a colon after the name in line {here}"),
        "did not find expected key": (
            "the indentation does not fit",
            f"indent line {here} exactly like the fields it belongs to",
        ),
        "'-' indicator": (
            "the indentation does not fit",
            f"indent line {here} like the fields of its list element, or start a new one with `- `",
        ),
        "block sequence entries": ("a list starts beside its name", f"move the `-` of line {here} to its own line"),
        "',' or '}'": (
            "a brace is not closed",
            f"close the `{{` before line {here}, or put a comma between the fields",
        ),
        "',' or ']'": (
            "a bracket is not closed",
            f"close the `[` before line {here}, or put a comma between the values",
        ),
        "node content": ("a value is missing", f"write the value or close the bracket that is open in line {here}"),
        "end of stream": ("a quote is not closed", f"close the quote that starts in line {here}"),
        "escape character": (
            "an unknown escape after a backslash",
            f"use single quotes in line {here}, or double the backslash",
        ),
        "alphabetic or numeric": (
            "a value starts with * or &",
            f'put the value in line {here} in quotes, e.g. "*"',
        ),
        "cannot start any token": (
            "a value starts with a character that YAML reserves",
            f"put the value in line {here} in quotes",
        ),
    }
    for words, (sentence, fix) in table.items():
        if words in problem:
            return sentence, fix, where.line
    return problem, f"compare line {here} with a correct document", where.line


def _mapping_values(where: _Where, column: int) -> tuple[str, str, int]:
    """`mapping values are not allowed here` has four usual causes; the lines tell which.

    The text of the lines is never repeated: it may be part of a Secret.
    """
    before = where.before
    if ": " in where.text[:column]:
        return "two colons in one line", f"put the value in line {where.number} in quotes", where.line
    name = before.text.strip().removeprefix("- ")
    if ":" not in name and _beside_element(before.text, where.indentation):
        fix = f"indent line {where.number} like the field that it stands beside (it stands below a value of a list)"
        return "the indentation does not fit", fix, where.line
    if name and ":" not in name:
        return "a field without a colon", f"write a colon after the name in line {before.number}", before.line
    if ": " not in name and not name.endswith(":"):
        return "no space after a colon", f"write a space after the colon in line {before.number}", before.line
    return (
        "the indentation does not fit",
        f"indent line {where.number} like line {before.number}, or take the value out of line {before.number}",
        where.line,
    )


def _beside_element(text: str, indentation: str) -> bool:
    """Whether a line so indented stands between the dash of a list's element and its value, where nothing can."""
    dash = len(text) - len(text.lstrip())
    return text.lstrip().startswith("- ") and dash < len(indentation) < dash + len("- ")


def _unreadable_character(error: yaml.YAMLError, chunk: str, base: int) -> SyntaxProblem:
    position = getattr(error, "position", 0)
    start = position if isinstance(position, int) else 0
    line = chunk.count("\n", 0, start)
    column = start - (chunk.rfind("\n", 0, start) + 1)
    number = line + base + 1
    return SyntaxProblem("a control character", f"remove it from line {number}", number, column + 1)
