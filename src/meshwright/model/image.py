"""How a container image becomes a process: the image catalogue.

There are no container images here. A catalogue entry says which command stands for an image, with the meaning
that `command`, `args`, `env` and `workingDir` have inside an image.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

PYTHON = "{python}"
"""In the words of an entry: the interpreter that runs meshwright."""
CATALOGUE_LABEL = "meshwright.dev/image-catalogue"
"""The label of ConfigMaps that hold entries."""

_WILDCARDS = "*?["
_DOCKER_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One entry: images that match `pattern` run as this process.

    `programs` maps names of programs inside the image to commands that stand for them; `fallbacks` does so
    only where the machine has no program of that name.
    """

    pattern: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    programs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Entries; of two that match equally well the later one is taken."""

    entries: tuple[ImageEntry, ...] = ()

    def find(self, image: str) -> ImageEntry | None:
        """The entry for an image: the one whose pattern has the most literal characters."""
        names = _names(image)
        best: ImageEntry | None = None
        for entry in self.entries:
            matches = any(fnmatchcase(name, entry.pattern) for name in names)
            if matches and (best is None or literals(entry.pattern) >= literals(best.pattern)):
                best = entry
        return best

    def with_entries(self, entries: tuple[ImageEntry, ...]) -> Catalogue:
        """The entries of this catalogue and then others, which win where both match equally well."""
        return Catalogue(self.entries + entries)


def literals(pattern: str) -> int:
    """How many characters of a pattern stand for themselves; a character set counts as none."""
    count, rest = 0, pattern
    while rest:
        end = rest.find("]", 2) if rest[0] == "[" else -1
        if end > 0:
            rest = rest[end + 1 :]
            continue
        count += rest[0] not in _WILDCARDS
        rest = rest[1:]
    return count


def repository(image: str) -> str:
    """An image reference without tag and digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


def split_registry(name: str) -> tuple[str, str]:
    """Registry host (may be empty) and the rest of a reference, told apart as container tools do."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return first, rest
    return "", name


def _names(image: str) -> tuple[str, ...]:
    """All spellings of an image that a pattern may mean: with and without registry and `library/`."""
    host, path = split_registry(repository(image))
    official = not host or host in _DOCKER_HOSTS
    short = path.removeprefix(_OFFICIAL) if official else path
    paths = {path, short}
    if official and "/" not in short:
        paths.add(_OFFICIAL + short)
    hosts = {"docker.io", *({host} if host else ())} if official else {host}
    return tuple(sorted(paths | {f"{each}/{path}" for each in hosts for path in paths}))


def command_line(
    entry: ImageEntry | None,
    command: tuple[str, ...],
    args: tuple[str, ...],
    *,
    python: str,
    exists: Callable[[str], bool],
) -> tuple[str, ...] | None:
    """The words of the process for a container; None when neither it nor an entry names a command.

    As in Kubernetes: `command` of the container replaces command and args of the image, `args` alone replace
    the image's args. `exists` tells whether the machine has a program (a path, or a name to find in PATH).
    """
    if command:
        words = command + args
    elif entry is None or not entry.command:
        return None
    else:
        own = _filled(entry.command, python)
        words = own + (args or _filled(entry.args, python))
    return resolve_program(entry, words, python=python, exists=exists)


def resolve_program(
    entry: ImageEntry | None, words: tuple[str, ...], *, python: str, exists: Callable[[str], bool]
) -> tuple[str, ...]:
    """The words to run on this machine for words that mean a program inside the image (also for `exec`)."""
    if entry is None or not words:
        return words
    program = _lookup(entry.programs, words[0])
    if program is None and not exists(words[0]):
        program = _lookup(entry.fallbacks, words[0])
    return words if program is None else _filled(program, python) + words[1:]


def environment(entry: ImageEntry | None, *, python: str) -> tuple[tuple[str, str], ...]:
    """The variables that an image brings; those of the container come after and win."""
    return () if entry is None else tuple((name, value.replace(PYTHON, python)) for name, value in entry.env)


def _lookup(programs: tuple[tuple[str, tuple[str, ...]], ...], word: str) -> tuple[str, ...] | None:
    """A program by the exact word, else by its last path segment."""
    table = dict(programs)
    return table.get(word) or table.get(word.rpartition("/")[2])


def _filled(words: tuple[str, ...], python: str) -> tuple[str, ...]:
    return tuple(word.replace(PYTHON, python) for word in words)


def entry_to_add(image: str) -> str:
    """A ConfigMap, as YAML text, with the entry that an unknown image lacks; only its command is to be set."""
    name = repository(image)
    host, path = split_registry(name)
    pattern = path if host in _DOCKER_HOSTS else name
    letters = (each if each.isascii() and each.isalnum() else "-" for each in path.lower())
    return f"""apiVersion: v1
kind: ConfigMap
metadata:
  name: {("image-" + "".join(letters))[:63].rstrip("-")}
  labels:
    {CATALOGUE_LABEL}: "true"
data:
  images.yaml: |
    images:
      - pattern: {json.dumps(pattern)}
        command: ["/path/to/the/program"]
"""
