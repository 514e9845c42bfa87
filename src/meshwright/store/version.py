"""One version of one object, and the event that made it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshwright.store import jsontext
from meshwright.store.names import ChangeNumber, EpochMilliseconds, Json, Key, Revision, Uid


@dataclass(frozen=True, slots=True)
class Body:
    """An object without its status; versions that differ only in status share one.

    `text` is canonical JSON without `resourceVersion`, its last member is `metadata` (see jsontext.encode_object).
    """

    revision: Revision
    text: bytes = field(repr=False)  # may hold a Secret's data
    labels: Mapping[str, str]

    def value(self) -> Json:
        """Decoded anew at each call: the caller may change it."""
        return jsontext.decode(self.text)


@dataclass(frozen=True, slots=True)
class Status:
    """An object's status as canonical JSON, and who keeps each type of condition."""

    revision: Revision
    text: bytes = field(repr=False)
    owners: Mapping[str, str]

    def value(self) -> Json:
        """Decoded anew at each call: the caller may change it."""
        return jsontext.decode(self.text)


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it was from `revision` on, until its next version."""

    key: Key
    revision: Revision
    uid: Uid
    body: Body
    status: Status | None = None

    def json(self) -> bytes:
        """The whole object as JSON text, with `resourceVersion` and status; made by joining, without decoding."""
        version = b',"resourceVersion":"%d"}' % self.revision
        status = (b',"status":', self.status.text) if self.status else ()
        return b"".join((self.body.text[:-2], version, *status, b"}"))

    def value(self) -> Json:
        """The whole object, decoded anew at each call: the caller may change it."""
        return jsontext.decode(self.json())


class EventType(StrEnum):
    """What happened to an object, in the words of a Kubernetes watch."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one object. `version` is the state after it, for DELETED the last one.

    `change` is the number of the change this step belongs to; None where nothing was changed that the mesh reads.
    """

    type: EventType
    version: Version
    before: Version | None
    time: EpochMilliseconds
    change: ChangeNumber | None = None
