"""The operation `wait`: how one object stands in the mesh, as soon as it is live or after so many seconds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.kinds.table import KINDS
from meshwright.model.origin import ObjectRef, Origin
from meshwright.processes.messages import BadRequest, Fields
from meshwright.status.mesh_status import MeshStatus
from meshwright.status.standing import Standing, explained, refused, validation_messages
from meshwright.status.subjects import SUBJECTS, ref_of, shown
from meshwright.store.names import Key, Resource
from meshwright.store.store import Store

LONGEST_SECONDS = 3600


FindLines = Callable[[frozenset[ObjectRef]], Awaitable[Mapping[ObjectRef, Lines]]]
"""Where objects were written, for those of which that is known."""


async def refusal_notes(status: MeshStatus, keys: Sequence[Key], find: FindLines, seconds: float) -> list[str]:
    """What Envoy refuses of objects that were just changed, one line each, with the place in the file if known; as
    soon as that is known, after so long at most.
    """
    await status.judged(keys, seconds)
    notes: list[str] = []
    for key in keys:
        standing = status.standing_of(key)
        if standing is not None and standing.refusal is not None:
            place = await _place(key, standing.refusal.path, find)
            notes.append(f"{place}{': ' if place else ''}{shown(key)} {refused(standing.refusal)}")
    return notes


async def _place(key: Key, path: str, find: FindLines) -> str:
    """<file>:<line> of a field, "" when nobody knows."""
    ref = ref_of(key)
    lines = (await find(frozenset({ref}))).get(ref)
    found = None if lines is None else lines.find(Origin(ref, path))
    return "" if found is None else f"{found.file}:{found.line}"


def _path(standing: Standing) -> str:
    """The field that keeps an object from being live."""
    if standing.refusal is not None:
        return standing.refusal.path
    return standing.broken[0].origin.path if standing.broken else ""


class WaitOperation:
    """Answers {object, live, reason, message, generation, change, affected, waiting, absent, findings, place}: the
    place is <file>:<line> of the field that is wrong, where that is known.
    """

    def __init__(self, status: MeshStatus, store: Store, find: FindLines) -> None:
        self._status = status
        self._store = store
        self._find = find

    async def answer(self, fields: Fields) -> dict[str, Any]:
        """Raises BadRequest (usage) for a kind that has no Live, NotFoundError for an object that is not there."""
        key = _key(fields)
        await self._store.get(key)
        seconds = min(max(fields.integer("milliseconds", 30_000) / 1000, 0), LONGEST_SECONDS)
        standing = await self._status.wait(key, seconds)
        if standing is None:
            return {
                "object": shown(key),
                "live": False,
                "reason": "Unknown",
                "message": "nobody has looked at it yet",
                "place": "",
            }
        wrong = standing.refusal is not None or bool(standing.broken)
        place = await _place(key, _path(standing), self._find) if wrong else ""
        return {**_answer(key, standing), "place": place}


def _answer(key: Key, standing: Standing) -> dict[str, Any]:
    reason, message = explained(standing)
    return {
        "object": shown(key),
        "live": standing.live,
        "reason": reason,
        "message": message,
        "generation": standing.generation,
        "change": standing.change or None,
        "affected": standing.total,
        "waiting": list(standing.waiting),
        "absent": list(standing.absent),
        "findings": validation_messages(standing),
    }


def _key(fields: Fields) -> Key:
    words = fields.text("kind").lower()
    for kind in KINDS:
        if words in {kind.kind.lower(), kind.plural, kind.singular, *kind.short_names}:
            resource = Resource(kind.group, kind.plural)
            if resource not in SUBJECTS:
                raise BadRequest(f"a {kind.kind} has no condition Live; {_live_kinds()} have one", "usage")
            namespace = fields.text("namespace", "default") if kind.namespaced else ""
            return Key(resource, namespace, fields.text("name"))
    raise BadRequest(f"there is no kind {words}; {_live_kinds()} have a condition Live", "usage")


def _live_kinds() -> str:
    return ", ".join(sorted(SUBJECTS.values()))
