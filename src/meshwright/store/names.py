"""What the store calls things: resources, keys of objects, revisions and numbers of changes."""

from dataclasses import dataclass
from typing import Any, NewType

Revision = NewType("Revision", int)  # one counter for all objects, as in etcd; 0 is before the first write
ChangeNumber = NewType("ChangeNumber", int)  # 1, 2, 3 ...; 0 is before the first change
EpochMilliseconds = NewType("EpochMilliseconds", int)
Uid = NewType("Uid", str)
Author = NewType("Author", str)
Owner = NewType("Owner", str)  # the part of the program that keeps a condition

Json = dict[str, Any]
_CONTROLLERS = "controller/"


def of_controller(name: str) -> Author:
    """The author of what the mesh does by itself."""
    return Author(f"{_CONTROLLERS}{name}")


def is_of_controller(author: Author) -> bool:
    """Whether no person made a change."""
    return author.startswith(_CONTROLLERS)


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A kind by its API group ("" is the core group) and plural name; all served versions are one resource."""

    group: str
    plural: str

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object; the namespace of cluster-wide ones is empty. Lists are sorted by it."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource}/{place}"
