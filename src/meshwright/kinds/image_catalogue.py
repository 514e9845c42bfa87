"""Reads entries of the image catalogue from plain values (what YAML or JSON text holds)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshwright.model.image import Catalogue, ImageEntry, literals, repository

_FIELDS = ("pattern", "command", "args", "env", "workingDir", "programs", "fallbacks")


@dataclass(slots=True)
class _Reader:
    """Collects what is wrong, each with the path of the field."""

    errors: list[str] = field(default_factory=list[str])

    def wrong(self, path: str, text: str) -> None:
        """Note a mistake."""
        self.errors.append(f"{path}: {text}")

    def text(self, value: object, path: str) -> str:
        """A string, or "" after a note."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool | int | float):
            self.wrong(path, f"must be a string: write it in quotes ({str(value)!r})")
        else:
            self.wrong(path, "must be a string")
        return ""

    def words(self, value: object, path: str) -> tuple[str, ...]:
        """A list of strings."""
        if isinstance(value, str):
            self.wrong(path, "must be a list of words, for instance [program, argument]")
            return ()
        if not isinstance(value, list):
            self.wrong(path, "must be a list of strings")
            return ()
        items: list[object] = [*value]
        return tuple(self.text(item, f"{path}[{index}]") for index, item in enumerate(items))

    def fields(self, value: object, path: str) -> dict[str, object]:
        """A mapping with string keys."""
        if not isinstance(value, Mapping):
            self.wrong(path, "must be a mapping")
            return {}
        items: dict[object, object] = {**value}
        for key in items:
            if not isinstance(key, str):
                self.wrong(path, f"the key {key!r} must be a string")
        return {key: each for key, each in items.items() if isinstance(key, str)}

    def commands(self, value: object, path: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """A mapping from program names to commands."""
        read = [(name, self.words(each, f"{path}.{name}")) for name, each in self.fields(value, path).items()]
        for name, words in read:
            if not words:
                self.wrong(f"{path}.{name}", "needs at least one word")
        return tuple(read)

    def pattern(self, value: object, path: str) -> str:
        """An image reference without tag and digest, in which `*`, `?` and `[abc]` may stand."""
        pattern = self.text(value, path)
        if not pattern:
            return ""
        if repository(pattern) != pattern:
            self.wrong(path, f"stands for every tag: leave the tag or digest away ({repository(pattern)!r})")
        elif not literals(pattern):
            self.wrong(path, "would match every image: name at least a part of one")
        return pattern

    def entry(self, value: object, path: str) -> ImageEntry | None:
        """One entry; None when something in it is wrong."""
        before = len(self.errors)
        fields = self.fields(value, path)
        for name in fields:
            if name not in _FIELDS:
                self.wrong(f"{path}.{name}", f"unknown field{_suggestion(name)}")
        for name in ("pattern", "command"):
            if len(self.errors) == before and not fields.get(name):
                self.wrong(f"{path}.{name}", "is required")
        if len(self.errors) > before:
            return None
        given = {name: each for name, each in fields.items() if each is not None}
        env = self.fields(given.get("env", {}), f"{path}.env")
        entry = ImageEntry(
            pattern=self.pattern(given["pattern"], f"{path}.pattern"),
            command=self.words(given["command"], f"{path}.command"),
            args=self.words(given.get("args", []), f"{path}.args"),
            env=tuple((name, self.text(each, f"{path}.env.{name}")) for name, each in env.items()),
            working_dir=self.text(given.get("workingDir", ""), f"{path}.workingDir"),
            programs=self.commands(given.get("programs", {}), f"{path}.programs"),
            fallbacks=self.commands(given.get("fallbacks", {}), f"{path}.fallbacks"),
        )
        return entry if len(self.errors) == before else None


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, _FIELDS, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(_FIELDS)}"


def read_catalogue(value: object) -> tuple[Catalogue, tuple[str, ...]]:
    """Read `{images: [entry, ...]}`: the sound entries, and a message with its path for each mistake.

    A wrong entry is left out and does not touch the others.
    """
    reader = _Reader()
    if value is None:
        return Catalogue(), ()
    top = reader.fields(value, "catalogue")
    for name in top:
        if name != "images":
            reader.wrong(name, "unknown field; the entries stand in the list 'images'")
    images = top.get("images", [])
    if not isinstance(images, list):
        reader.wrong("images", "must be a list of entries")
        return Catalogue(), tuple(reader.errors)
    items: list[object] = [*images]
    entries = [reader.entry(item, f"images[{index}]") for index, item in enumerate(items)]
    return Catalogue(tuple(entry for entry in entries if entry is not None)), tuple(reader.errors)
