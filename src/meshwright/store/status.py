"""A status is replaced in parts: every type of condition has one owner, and only that one moves it."""

from collections.abc import Mapping
from typing import Any, cast

from meshwright.store.errors import InvalidError, OwnedError
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner
from meshwright.store.sources import timestamp

Owners = dict[str, str]
Conditions = dict[str, Json]


def _conditions(status: Mapping[str, Any]) -> Conditions:
    """By type, in their order. Raises InvalidError."""
    found: object = status.get("conditions")
    if found is None:
        return {}
    if not isinstance(found, list):
        raise InvalidError("status.conditions is no list")
    return {_type_of(item): dict(cast("Json", item)) for item in cast("list[object]", found)}


def _type_of(condition: object) -> str:
    kind = cast("Json", condition).get("type") if isinstance(condition, Mapping) else None
    if not isinstance(kind, str) or not kind:
        raise InvalidError("a condition without a type")
    return kind


def _with_conditions(status: Mapping[str, Any], conditions: Conditions) -> Json:
    rest = {name: member for name, member in status.items() if name != "conditions"}
    return {**rest, "conditions": list(conditions.values())} if conditions else rest


def replaced(
    before: Mapping[str, Any], owners: Mapping[str, str], status: Mapping[str, Any], owner: Owner
) -> tuple[Json, Owners]:
    """`status` in the place of `before`, except for conditions that others own. Raises InvalidError."""
    kept = {kind: item for kind, item in _conditions(before).items() if owners.get(kind, owner) != owner}
    sent = {kind: item for kind, item in _conditions(status).items() if kind not in kept}
    new_owners = {kind: owners[kind] for kind in kept} | dict.fromkeys(sent, str(owner))
    return _with_conditions(status, kept | sent), new_owners


def with_condition(
    before: Mapping[str, Any],
    owners: Mapping[str, str],
    key: Key,
    condition: tuple[Owner, Mapping[str, Any]],
    now: EpochMilliseconds,
) -> tuple[Json, Owners]:
    """`before` with one condition set by its owner. Raises OwnedError, InvalidError."""
    owner, sent = condition
    kind = _type_of(sent)
    _check_owner(owners, key, kind, owner)
    conditions = _conditions(before)
    old = conditions.get(kind, {})
    item = dict(sent)
    if "lastTransitionTime" not in item:
        same = "lastTransitionTime" in old and old.get("status") == item.get("status")
        item["lastTransitionTime"] = old["lastTransitionTime"] if same else timestamp(now)
    conditions[kind] = item
    return _with_conditions(before, conditions), {**owners, kind: owner}


def without_condition(
    before: Mapping[str, Any], owners: Mapping[str, str], key: Key, kind: str, owner: Owner
) -> tuple[Json, Owners]:
    """`before` without one condition, which then has no owner. Raises OwnedError."""
    _check_owner(owners, key, kind, owner)
    conditions = _conditions(before)
    conditions.pop(kind, None)
    return _with_conditions(before, conditions), {name: who for name, who in owners.items() if name != kind}


def _check_owner(owners: Mapping[str, str], key: Key, kind: str, owner: Owner) -> None:
    holder = owners.get(kind, owner)
    if holder != owner:
        raise OwnedError(key, kind, Owner(holder))
