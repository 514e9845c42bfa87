"""Secrets are shown without their data: that something is there or has changed, never what."""

from typing import Any, cast

from meshwright.store.history import Difference
from meshwright.store.names import Json, Key, Resource

SECRETS = Resource("", "secrets")
DATA = ("data", "stringData")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HIDDEN = "(hidden)"
HIDDEN_BEFORE = "(hidden, before)"
HIDDEN_AFTER = "(hidden, after)"


def redact(key: Key, value: Json) -> Json:
    """`value` as anyone may see it: a Secret's data keep their names only. Others are returned as they are."""
    return value if key.resource != SECRETS else _hide(value, {}, HIDDEN)


def redact_difference(difference: Difference) -> tuple[Json | None, Json | None]:
    """Both sides of a difference, decoded; a Secret's values are marked where they differ."""
    before = difference.before.value() if difference.before else None
    after = difference.after.value() if difference.after else None
    if difference.key.resource != SECRETS:
        return before, after
    return (
        _hide(before, after or {}, HIDDEN_BEFORE) if before is not None else None,
        _hide(after, before or {}, HIDDEN_AFTER) if after is not None else None,
    )


def _hide(value: Json, other: Json, changed: str) -> Json:
    hidden = dict(value)
    for field in DATA:
        if field in value:
            hidden[field] = _hide_members(value[field], other.get(field), changed)
    metadata: Json = dict(value.get("metadata") or {})
    annotations: object = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        kept = cast("dict[str, Any]", annotations)
        metadata["annotations"] = {**kept, LAST_APPLIED: HIDDEN}
    return {**hidden, "metadata": metadata}


def _hide_members(members: object, others: object, changed: str) -> object:
    if not isinstance(members, dict):
        return HIDDEN
    known = cast("Json", others) if isinstance(others, dict) else {}
    return {
        name: changed if name in known and known[name] != member else HIDDEN
        for name, member in cast("Json", members).items()
    }
