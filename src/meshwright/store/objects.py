"""An object as a writer sent it becomes the object as it is stored: what the store keeps itself, and generations."""

from collections.abc import Mapping
from typing import Any

from meshwright.store import jsontext
from meshwright.store.names import EpochMilliseconds, Json, Key, Uid
from meshwright.store.sources import timestamp

# what writers cannot set: taken from the stored object
KEPT = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def _metadata(value: Mapping[str, Any], key: Key) -> Json:
    sent: Mapping[str, Any] = value.get("metadata") or {}
    metadata = {name: member for name, member in sent.items() if name not in KEPT}
    metadata["name"] = key.name
    if key.namespace:
        metadata["namespace"] = key.namespace
    else:
        metadata.pop("namespace", None)
    return metadata


def _with_metadata(value: Mapping[str, Any], metadata: Json) -> Json:
    return {**{name: member for name, member in value.items() if name != "status"}, "metadata": metadata}


def created(value: Mapping[str, Any], key: Key, now: EpochMilliseconds, uid: Uid) -> Json:
    """A new object, of generation 1."""
    metadata = _metadata(value, key)
    metadata.update(uid=uid, generation=1, creationTimestamp=timestamp(now))
    return _with_metadata(value, metadata)


def updated(before: Json, value: Mapping[str, Any], key: Key) -> Json:
    """`value` in the place of `before`; its generation grows when what it asks for differs."""
    metadata = _metadata(value, key)
    kept: Json = before["metadata"]
    metadata.update({name: kept[name] for name in KEPT if name in kept})
    if _asks(before) != _asks(value):
        metadata["generation"] = kept.get("generation", 0) + 1
    return _with_metadata(value, metadata)


def _asks(value: Mapping[str, Any]) -> bytes:
    """The spec; for kinds without one, everything but metadata and status."""
    if "spec" in value:
        return jsontext.encode({"spec": value["spec"]})
    apart = ("metadata", "status", "apiVersion", "kind")
    return jsontext.encode({name: member for name, member in value.items() if name not in apart})


def deleting(before: Json, now: EpochMilliseconds, grace_seconds: int, finalizers: tuple[str, ...]) -> Json:
    """`before` marked for deletion; a grace that runs already is only ever shortened."""
    metadata: Json = dict(before["metadata"])
    wanted = [*metadata.get("finalizers", ()), *finalizers]
    if wanted:
        metadata["finalizers"] = list(dict.fromkeys(wanted))
    if "deletionTimestamp" not in metadata:
        metadata["generation"] = metadata.get("generation", 0) + 1
    if grace_seconds < metadata.get("deletionGracePeriodSeconds", grace_seconds + 1):
        metadata["deletionTimestamp"] = timestamp(EpochMilliseconds(now + grace_seconds * 1000))
        metadata["deletionGracePeriodSeconds"] = grace_seconds
    return {**before, "metadata": metadata}


def is_finished(value: Json) -> bool:
    """Marked for deletion, and nobody holds it any more."""
    metadata: Json = value["metadata"]
    marked = "deletionTimestamp" in metadata and not metadata.get("deletionGracePeriodSeconds")
    return marked and not metadata.get("finalizers")
