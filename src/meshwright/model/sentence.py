"""A sentence that is said to people, as a value: in English as it is, in other languages by whoever shows it.

Programs tell sentences apart by `key`; a page looks its own words up by it and fills in `values`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = "str | int | Sentence | tuple[str, ...] | tuple[Sentence, ...]"
"""What stands in a slot: a name or number as it is, another sentence, or a list of them."""
_SLOT = re.compile(r"\\{(\w+)\\}")  # as re.escape leaves it


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` is the English one with a `{slot}` for each of `values`."""

    key: str
    text: str
    values: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return self.text.format(**{name: _plain(value) for name, value in self.values})

    def as_json(self) -> dict[str, Any]:
        """{"key": ..., "values": {slot: text, number, such an object, or a list}}."""
        return {"key": self.key, "values": {name: _json(value) for name, value in self.values}}


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """All sentences of one part of the program: key -> English text with slots."""

    texts: Mapping[str, str]

    def say(self, key: str, **values: Value) -> Sentence:
        """One of them, filled in. Raises KeyError for a key that is not there."""
        return Sentence(key, self.texts[key], tuple(values.items()))

    def read(self, said: str) -> Sentence | None:
        """The first one that reads like this; None when it is of somebody else."""
        for key, text in self.texts.items():
            found = re.fullmatch(_SLOT.sub(r"(?P<\1>.+)", re.escape(text)), said)
            if found:
                return Sentence(key, text, tuple(found.groupdict().items()))
        return None


def _plain(value: Value) -> str:
    if isinstance(value, tuple):
        return ("; " if any(isinstance(each, Sentence) for each in value) else ", ").join(map(str, value))
    return str(value)


def _json(value: Value) -> object:
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return value.as_json() if isinstance(value, Sentence) else value
