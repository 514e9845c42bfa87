"""The operation `wait`: how one object stands in the mesh, as soon as it is live or after so many seconds."""

from collections.abc import Iterable
from typing import Any

from meshwright.kinds.table import KINDS
from meshwright.processes.messages import BadRequest, Fields
from meshwright.status.mesh_status import MeshStatus
from meshwright.status.standing import Standing, explained, refused, validation_messages
from meshwright.status.subjects import SUBJECTS, shown
from meshwright.store.names import Key, Resource
from meshwright.store.store import Store

LONGEST_SECONDS = 3600
REFUSAL_SECONDS = 2.0  # at most: how long the blame for a refusal may take


async def refusal_notes(status: MeshStatus, keys: Iterable[Key]) -> list[str]:
    """What Envoy refuses of objects that were just changed, one line each."""
    await status.settled(REFUSAL_SECONDS)
    standings = [(key, status.standing_of(key)) for key in keys]
    return [
        f"{shown(key)} {refused(standing.refusal)}"
        for key, standing in standings
        if standing is not None and standing.refusal is not None
    ]


class WaitOperation:
    """Answers {object, live, reason, message, generation, change, affected, waiting, absent, findings}."""

    def __init__(self, status: MeshStatus, store: Store) -> None:
        self._status = status
        self._store = store

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
            }
        return _answer(key, standing)


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
