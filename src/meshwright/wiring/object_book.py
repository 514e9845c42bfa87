"""Stored objects as the mesh reads them: each is read once per content, and stays the same value until it changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.documents.reader import read
from meshwright.kinds.mesh_config import read_settings
from meshwright.kinds.objects import Loaded, read_objects
from meshwright.kinds.table import KINDS
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.store.names import Key, Resource
from meshwright.wiring.credentials import judged
from meshwright.wiring.loading import LoadedMesh, shipped_catalogue, with_config_maps

READ: frozenset[Resource] = frozenset(Resource(kind.group, kind.plural) for kind in KINDS)
PODS = Resource("", "pods")
FIELDS = tuple(field.name for field in fields(MeshObjects))


@dataclass(frozen=True, slots=True)
class _Entry:
    """One object: its text, and what it was read as."""

    text: bytes
    loaded: Loaded


class ObjectBook:
    """Put and remove objects; `loaded` is everything together. For one thread."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._parts: dict[str, tuple[Any, ...]] = dict.fromkeys(FIELDS, ())
        self._stale: set[str] = set()
        self._loaded: LoadedMesh | None = None

    def put(self, key: Key, text: bytes) -> bool:
        """Take an object's JSON text (without status); whether anything that the mesh reads is another now."""
        if key.resource not in READ:
            return False
        before = self._entries.get(key)
        if before is not None and before.text == text:
            return False
        after = _Entry(text, judged(read_objects([read(text.decode(), str(key))])))
        self._entries[key] = after
        return self._note(key, before, after)

    def text(self, key: Key) -> bytes | None:
        """What was put last."""
        entry = self._entries.get(key)
        return None if entry is None else entry.text

    def remove(self, key: Key) -> bool:
        """Forget an object; whether anything that the mesh reads is another now."""
        before = self._entries.pop(key, None)
        return before is not None and self._note(key, before, None)

    def _note(self, key: Key, before: _Entry | None, after: _Entry | None) -> bool:
        """Equal values are no news (and stay the same objects): an annotation that nobody reads stops here."""
        old, new = (entry.loaded.objects if entry else MeshObjects() for entry in (before, after))
        changed = {name for name in FIELDS if getattr(old, name) != getattr(new, name)}
        findings = {entry.loaded.diagnostics if entry else () for entry in (before, after)}
        if not changed and len(findings) == 1:
            if before is not None and after is not None:
                self._entries[key] = _Entry(after.text, before.loaded)
            return False
        self._stale |= changed
        self._loaded = None
        return True

    @property
    def loaded(self) -> LoadedMesh:
        """Everything that was put and not removed. Lines are not known: objects of the API have none."""
        if self._loaded is None:
            self._loaded = self._put_together()
        return self._loaded

    def _put_together(self) -> LoadedMesh:
        ordered = [self._entries[key].loaded for key in sorted(self._entries)]
        for name in self._stale:
            self._parts[name] = tuple(value for loaded in ordered for value in getattr(loaded.objects, name))
        self._stale.clear()
        objects = MeshObjects(**self._parts)
        settings = read_settings(objects.config_maps)
        catalogue, errors = with_config_maps(shipped_catalogue(), objects.config_maps)
        return LoadedMesh(objects, settings.value, catalogue, _findings(ordered) + settings.findings, Lines(), errors)


def _findings(ordered: Iterable[Loaded]) -> tuple[Diagnostic, ...]:
    return tuple(finding for loaded in ordered for finding in loaded.diagnostics)


def is_leaving(value: Mapping[str, Any]) -> bool:
    """Whether an object is marked for deletion."""
    return bool(value.get("metadata", {}).get("deletionTimestamp"))
