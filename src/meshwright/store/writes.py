"""What can be asked of the store in one transaction, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshwright.store.names import ChangeNumber, Key, Owner, Revision, Uid
from meshwright.store.version import EventType, Version


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object. An empty `key.name` asks for a name from `metadata.generateName`; a status is left out."""

    key: Key
    value: Mapping[str, Any] = field(repr=False)  # may hold a Secret's data


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object, except status and what the store keeps itself. None for `revision` and `uid`: any."""

    key: Key
    value: Mapping[str, Any] = field(repr=False)  # may hold a Secret's data
    revision: Revision | None = None
    uid: Uid | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an object, or mark it until its finalizers are gone and its time of grace has been ended.

    `grace_seconds` above 0 marks the object; a second Delete with 0 ends the grace. `finalizers` are added first.
    """

    key: Key
    revision: Revision | None = None
    uid: Uid | None = None
    grace_seconds: int = 0
    finalizers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """Replace the status. Conditions of other owners stay as they are, whatever `status` says of them."""

    key: Key
    status: Mapping[str, Any]
    owner: Owner
    revision: Revision | None = None
    uid: Uid | None = None


@dataclass(frozen=True, slots=True)
class SetCondition:
    """Set one condition; the first who sets a type owns it. `lastTransitionTime` is filled in where it is missing.

    With `if_exists` an object that is not there (or has another uid) is no error: nothing is written.
    """

    key: Key
    owner: Owner
    condition: Mapping[str, Any]
    uid: Uid | None = None
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RemoveCondition:
    """Take one condition of one's own away, and with it the ownership."""

    key: Key
    owner: Owner
    type: str
    uid: Uid | None = None
    if_exists: bool = False


Write = Create | Update | Delete | UpdateStatus | SetCondition | RemoveCondition


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write. `event` is None where nothing was different; `version` where it did not apply."""

    version: Version | None
    event: EventType | None


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction that is on disk: the newest revision, one result per write, and its change if it made one."""

    revision: Revision
    written: tuple[Written, ...]
    change: ChangeNumber | None
