"""What the store refuses, as errors that say which object and why; the API turns each into its status code."""

from meshwright.store.names import Key, Owner, Revision
from meshwright.store.version import Version


class StoreError(Exception):
    """Base of all refusals and failures of the store."""


class NotFoundError(StoreError):
    """There is no such object (404)."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key} is not there")
        self.key = key


class AlreadyExistsError(StoreError):
    """The object to create is there already (409 AlreadyExists)."""

    def __init__(self, key: Key, current: Version) -> None:
        super().__init__(f"{key} already exists")
        self.key = key
        self.current = current


class ConflictError(StoreError):
    """The object is not in the state the writer expected (409 Conflict); `current` is what it is now."""

    def __init__(self, key: Key, current: Version, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.current = current


class OwnedError(StoreError):
    """A condition belongs to another part of the program; only that one may set it."""

    def __init__(self, key: Key, condition: str, owner: Owner) -> None:
        super().__init__(f"{key}: the condition {condition} is kept by {owner}")
        self.key = key
        self.condition = condition
        self.owner = owner


class GoneError(StoreError):
    """The revision or change asked for is older than what is kept, or was never made (410)."""

    def __init__(self, asked: int, oldest: int, newest: int) -> None:
        super().__init__(f"{asked} is not kept: there is {oldest} to {newest}")
        self.asked = asked
        self.oldest = oldest
        self.newest = newest


class InvalidError(StoreError):
    """A request that has no meaning: a bad selector, a forged continue token, an object without a name."""


class FieldRefusedError(InvalidError):
    """One field of the object to write cannot be as it is (422)."""

    def __init__(self, key: Key, kind: str, path: str, why: str) -> None:
        super().__init__(f"{key}: {path}: {why}")
        self.key = key
        self.kind = kind
        self.path = path
        self.why = why


class StorageError(StoreError):
    """The files cannot be used: damaged, of a newer version, in use by another process, or the disk is full."""


def check_kept(asked: Revision, oldest: Revision, newest: Revision) -> None:
    """Raises GoneError where `asked` is outside of what is kept."""
    if not oldest <= asked <= newest:
        raise GoneError(asked, oldest, newest)
