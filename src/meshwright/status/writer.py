"""Conditions, messages and Events on their way to the store: only differences, many in one transaction."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from meshwright.controllers.decision import Happening
from meshwright.controllers.events import event_key, event_writes
from meshwright.controllers.world import Object
from meshwright.status.standing import ANALYSIS, LIVE, Refusal, Standing, conditions, refused, validation_messages
from meshwright.status.subjects import SERVICES
from meshwright.store.errors import OwnedError, StorageError, StoreError
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, Uid, of_controller
from meshwright.store.store import Store
from meshwright.store.version import Version
from meshwright.store.writes import SetCondition, UpdateStatus, Write

LOG = logging.getLogger(__name__)
OWNER = Owner("mesh-status")
COMPONENT = "meshwright"
_PORTION = 128  # objects in one transaction
_MEMBERS = ("validationMessages", "observedGeneration")


@dataclass(frozen=True, slots=True)
class Said:
    """What is to stand on one object; `before` is what was said of it last, as far as that is known."""

    key: Key
    uid: Uid
    standing: Standing
    before: Refusal | None


class StatusWriter:
    """Write what differs. One owner per condition: the status of others is left as it is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, said: Sequence[Said]) -> frozenset[Key]:
        """Those that are written, or need not be. Raises StorageError."""
        done: set[Key] = set()
        for start in range(0, len(said), _PORTION):
            done |= await self._portion(said[start : start + _PORTION])
        return frozenset(done)

    async def _portion(self, said: Sequence[Said]) -> set[Key]:
        try:
            writes = [write for each in said for write in await self._writes(each)]
            if writes:
                await self._store.transact(writes, of_controller(OWNER))
        except StorageError:
            raise
        except StoreError as error:
            if len(said) == 1 and isinstance(error, OwnedError):
                LOG.warning("the status of %s is another's: %s", said[0].key, error)
                return {said[0].key}
            if len(said) > 1:  # one of them moved meanwhile: the others need not wait
                return {key for each in said for key in await self._portion((each,))}
            LOG.info("the status of %s is written later: %s", said[0].key, error)
            return set()
        return {each.key for each in said}

    async def _writes(self, said: Said) -> list[Write]:
        version = await self._store.find(said.key)
        if version is None or version.uid != said.uid:
            return []
        about = Object.of(version)
        if about.generation != said.standing.generation:
            return []  # there is a newer one, which is looked at on its own
        return [*status_writes(version, said.standing), *await self._events(about, said)]

    async def _events(self, about: Object, said: Said) -> list[Write]:
        refusal = said.standing.refusal
        if refusal is None or (said.before is not None and said.before.words == refusal.words):
            return []
        happening = Happening(
            about, "Refused", refused(replace(refusal, path="")), COMPONENT, warning=True, part=refusal.path
        )
        key = event_key(happening)
        version = await self._store.find(key)
        known: Mapping[Key, Object] = {} if version is None else {key: Object.of(version)}
        now = EpochMilliseconds(int(datetime.now(UTC).timestamp() * 1000))
        return event_writes(known.get, (happening,), now)


def status_writes(version: Version, standing: Standing) -> Iterable[Write]:
    """The writes that make a status say how the object stands; none when it says so already."""
    status: Json = version.status.value() if version.status is not None else {}
    if version.key.resource != SERVICES:  # their status has a schema of its own
        wanted: Json = {name: value for name, value in status.items() if name not in _MEMBERS}
        wanted["observedGeneration"] = standing.generation
        if messages := validation_messages(standing):
            wanted["validationMessages"] = messages
        if wanted != status:
            yield UpdateStatus(version.key, wanted, OWNER, version.revision, version.uid)
    kept = standing.live and standing.inherited and _says_live(status, standing.generation)
    there: dict[str, Json] = {str(each.get("type")): each for each in status.get("conditions") or ()}
    for condition in conditions(standing):
        known = {name: value for name, value in there.get(condition["type"], {}).items() if name in condition}
        if known != condition and not (kept and condition["type"] != ANALYSIS):
            yield SetCondition(version.key, OWNER, condition, version.uid, if_exists=True)


def _says_live(status: Json, generation: int) -> bool:
    """Whether a status says that this generation is live."""
    said = {"type": LIVE, "status": "True", "observedGeneration": generation}
    return any(said.items() <= each.items() for each in status.get("conditions") or ())
