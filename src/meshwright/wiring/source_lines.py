"""Which line of which file an object was written in, as long as nobody has changed the object otherwise since.

Texts that come by the command line are kept (0600, they may hold Secrets) with the generation that each of their
objects had then: what has another generation now was changed by somebody else, and no line is named for it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.documents.reader import read
from meshwright.kinds.table import KINDS
from meshwright.model.origin import ObjectRef
from meshwright.store.names import Key, Resource
from meshwright.store.store import Store
from meshwright.wiring.seeding import objects_of

FILE = "source-texts.json"
MOST_TEXTS = 2_000
MOST_BYTES = 64 * 1024 * 1024
_RESOURCES = {kind.kind: Resource(kind.group, kind.plural) for kind in KINDS}


class SourceLines:
    """`remember` texts whose objects were just written; `find` the lines of objects."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        self._texts: dict[str, tuple[str, str]] = {}  # digest -> file, text; the oldest first
        self._objects: dict[str, tuple[str, str, int]] = {}  # object -> digest, uid, generation
        self._load()

    async def remember(self, texts: Iterable[tuple[str, str]]) -> None:
        """The store holds the objects of these texts as they stand there."""
        for file, text in texts:
            digest = _digest(file, text)
            self._texts.pop(digest, None)
            self._texts[digest] = (file, text)
            for key in objects_of([(file, text)]):
                if (mark := await self._mark(key)) is not None:
                    self._objects[str(key)] = (digest, *mark)
        self._bound()
        self._save()

    async def find(self, objects: frozenset[ObjectRef]) -> Mapping[ObjectRef, Lines]:
        """The lines of those objects that are still as they were written."""
        found: dict[ObjectRef, Lines] = {}
        for ref in objects:
            resource = _RESOURCES.get(ref.kind)
            if resource is None:
                continue
            key = Key(resource, ref.namespace, ref.name)
            kept = self._objects.get(str(key))
            if kept is not None and kept[0] in self._texts and await self._mark(key) == kept[1:]:
                found[ref] = _lines(*self._texts[kept[0]])
        return found

    async def _mark(self, key: Key) -> tuple[str, int] | None:
        version = await self._store.find(key)
        if version is None:
            return None
        return version.uid, int(version.value().get("metadata", {}).get("generation") or 0)

    # ------------------------------------------------------------ on disk

    def _bound(self) -> None:
        used = {digest for digest, _, _ in self._objects.values()}
        self._texts = {digest: text for digest, text in self._texts.items() if digest in used}
        size = sum(len(text) for _, text in self._texts.values())
        while len(self._texts) > MOST_TEXTS or size > MOST_BYTES:
            oldest = next(iter(self._texts))
            size -= len(self._texts.pop(oldest)[1])
        self._objects = {name: kept for name, kept in self._objects.items() if kept[0] in self._texts}

    def _load(self) -> None:
        try:
            kept: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return
        self._texts = {digest: (file, text) for digest, (file, text) in kept["texts"].items()}
        self._objects = {name: (digest, uid, number) for name, (digest, uid, number) in kept["objects"].items()}

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"texts": self._texts, "objects": self._objects}, file)
        temporary.replace(self._path)


def _digest(file: str, text: str) -> str:
    return blake2b(json.dumps([file, text]).encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=64)
def _lines(file: str, text: str) -> Lines:
    return Lines.of([read(text, file)])
