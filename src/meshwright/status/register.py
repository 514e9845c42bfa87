"""All subjects as they are: which version of each is known to be good, and how far each has come. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from meshwright.status.standing import Refusal, Standing
from meshwright.status.subjects import SUBJECTS, Subject
from meshwright.store.names import Key
from meshwright.store.version import Event, EventType, Version

MOST_CHANGES = 100  # of one object that is never proven; older ones are not known any more


@dataclass(frozen=True, slots=True)
class Hold:
    """The mesh reads `instead` of what is stored (None: nothing). `refusal` None: only suspected."""

    instead: bytes | None
    refusal: Refusal | None


@dataclass(slots=True)
class Entry:
    """One object. `publication` is the first that holds this version, None before. `proven`: every proxy that it
    concerns took it; `live` once, live for this version. `good` is the text of the last version that was proven,
    which `is_good_known` says whether we know it at all. `since` is when this version came, in seconds. `verdict` is
    the refusal for which it was held back, until it is proven; it is tried again `pause` seconds after. `changes` are
    those since a version was proven, the oldest first: none of them is in effect while it is held back.
    """

    subject: Subject
    since: float
    publication: int | None = None
    proven: bool = False
    good: bytes | None = None
    is_good_known: bool = False
    hold: Hold | None = None
    standing: Standing | None = None
    told: Refusal | None = None  # an Event said this refusal
    verdict: Refusal | None = None
    pause: float = 0.0
    changes: tuple[int, ...] = ()
    withheld: bool = False  # it was, for a time: whom it concerns is not what its change's receipt says

    @property
    def live(self) -> bool:
        return self.standing is not None and self.standing.live

    @property
    def is_suspect(self) -> bool:
        """Whether no proxy has taken this version yet, as far as is known."""
        return not self.proven and self.hold is None


class Register:
    """Feed it with stored versions and events, in order."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}

    def load(self, version: Version, publication: int, now: float) -> None:
        """An object that is there when all are listed, and is in that publication."""
        if version.key.resource not in SUBJECTS:
            return
        before = self._entries.get(version.key)
        if before is not None and before.subject.text == version.body.text:
            self._touch(before, version)
        else:
            subject = Subject.of(version, 0)
            self._entries[version.key] = Entry(subject, now, publication, proven=subject.was_live)

    def apply(self, event: Event, now: float) -> Key | None:
        """One step of one object; its key when there is another version of it now, or none any more."""
        key = event.version.key
        if key.resource not in SUBJECTS:
            return None
        before = self._entries.get(key)
        if event.type is EventType.DELETED:
            self._entries.pop(key, None)
            return key
        if before is not None and before.subject.uid == event.version.uid and event.change is None:
            return self._touch(before, event.version)
        subject = Subject.of(event.version, event.change or 0)
        self._entries[key] = _successor(before, subject, now)
        return key

    @staticmethod
    def _touch(entry: Entry, version: Version) -> Key | None:
        """Its status moved, or something that the mesh does not read."""
        if entry.hold is not None and version.body.text != entry.subject.text:
            entry.hold = None  # the mesh reads the stored text again
        before = entry.subject
        entry.subject = Subject.of(version, before.change)
        return version.key if entry.subject.generation != before.generation else None

    def get(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def forget_others(self, keys: Collection[Key]) -> None:
        """Objects that are not among these are gone."""
        self._entries = {key: entry for key, entry in self._entries.items() if key in keys}

    @property
    def entries(self) -> Mapping[Key, Entry]:
        return self._entries


def _successor(before: Entry | None, subject: Subject, now: float) -> Entry:
    """The next version of an object, knowing what was good before it."""
    change = (subject.change,)
    if before is None or before.subject.uid != subject.uid:
        return Entry(subject, now, is_good_known=True, changes=change)
    if before.proven:
        return Entry(subject, now, good=before.subject.text, is_good_known=True, changes=change)
    changes = (*before.changes[1 - MOST_CHANGES :], *change)
    return Entry(subject, now, good=before.good, is_good_known=before.is_good_known, changes=changes)
