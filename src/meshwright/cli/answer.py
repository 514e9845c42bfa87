"""Answers for programs: with `-o json` standard output has the answer, or {"error", "exit_code"} when there is none.

What people are told on the way goes to standard error, also the sentence of a failure.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import click

_GIVEN = "meshwright.cli.answer"
_ASKED = re.compile(r"(?:-[A-Za-z]*?o|--output)(?:=?(?P<form>\w+))?")
JSON = "json"
_FAILURE = ("error", "exit_code")


def give_json(value: Any, indent: int | None = None) -> None:
    """Print the answer of a command; a failure that comes after it adds nothing to standard output."""
    give_text(json.dumps(value, indent=indent))


def give_text(text: str) -> None:
    """The same for an answer in a form of its own."""
    click.get_current_context().meta[_GIVEN] = True
    click.echo(text)


def is_given(context: click.Context) -> bool:
    """Whether the command that ran below this context has given its answer."""
    return bool(context.meta.get(_GIVEN))


def asked_for_json(words: Sequence[str]) -> bool:
    """Whether a command line says `-o json`, in any of its spellings. It may be one that cannot be understood; what
    comes after `--` is somebody else's.
    """
    own = words[: words.index("--")] if "--" in words else words
    for word, following in zip(own, [*own[1:], ""], strict=True):
        found = _ASKED.fullmatch(word)
        if found is not None and (found["form"] or following) == JSON:
            return True
    return False


def give_failure(message: str, exit_code: int) -> None:
    """Say to a program why there is no answer."""
    click.echo(json.dumps(dict(zip(_FAILURE, (message, exit_code), strict=True))))


def is_failure(answer: Any) -> bool:
    """Whether a document is what `give_failure` prints."""
    return isinstance(answer, dict) and tuple(cast("dict[str, Any]", answer)) == _FAILURE
