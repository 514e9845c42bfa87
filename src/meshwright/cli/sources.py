"""Paths on the command line become texts: files, folders (searched for YAML and JSON) and standard input."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meshwright.cli.failure import UsageFailure

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Text:
    """One text with the name under which messages speak of it."""

    file: str
    text: str


def read_texts(paths: Iterable[str]) -> list[Text]:
    """All texts that the paths lead to, folders in the order of their names. Raises UsageFailure."""
    texts: list[Text] = []
    for path in paths:
        if path.startswith(("http://", "https://")):
            raise UsageFailure(f"{path}: addresses are not fetched; say: curl -fsSL {path} | meshwright ... -f -")
        texts.extend([_standard_input()] if path == STANDARD_INPUT else _files(Path(path)))
    return texts


def _standard_input() -> Text:
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageFailure(f"standard input is not UTF-8 text (byte {error.start})") from error
    if not text.strip():  # "nothing found" would be no answer to a pipe that broke
        raise UsageFailure("standard input is empty (did the command before the pipe fail?)")
    return Text("<stdin>", text)


def _files(path: Path) -> list[Text]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not found:
            raise UsageFailure(f"{path} holds no .yaml, .yml or .json file")
        return [_file(file) for file in found]
    if not path.exists():
        raise UsageFailure(f"{path} does not exist")
    return [_file(path)]


def _file(path: Path) -> Text:
    try:
        return Text(str(path), path.read_text())
    except OSError as error:
        raise UsageFailure(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageFailure(f"{path} is not UTF-8 text (byte {error.start})") from error
