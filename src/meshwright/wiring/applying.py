"""`apply`: what a user declares is merged into what is stored; what others set beside it stays.

As kubectl's client-side apply: what was declared last time stands in an annotation, so a field that is not declared
any more goes, and one that somebody else set stays. Lists are taken whole.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from meshwright.apiserver.defaults import at_first, with_defaults
from meshwright.store.errors import ConflictError, NotFoundError
from meshwright.store.names import Author, ChangeNumber, Key
from meshwright.store.store import Store
from meshwright.store.writes import Committed, Create, Delete, Update, Write
from meshwright.wiring.seeding import declared_in
from meshwright.wiring.write_rules import check_fixed_fields, deletion, is_immortal, missing_namespaces

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ATTEMPTS = 10
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each object: created, configured, unchanged or deleted. `change` None: nothing changed."""

    actions: tuple[tuple[Key, str], ...]
    change: ChangeNumber | None


async def until_alone(attempt: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Read, decide and write, again while somebody writes in between: statuses move by themselves.

    Raises StoreError.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except ConflictError:
            continue
    return await attempt()


async def apply(store: Store, texts: Iterable[tuple[str, str]], author: Author, *, dry_run: bool) -> Outcome:
    """All objects in one change, or none. Raises StoreError."""
    listed = list(texts)
    return await until_alone(lambda: _apply(store, listed, author, dry_run=dry_run))


async def _apply(store: Store, texts: Iterable[tuple[str, str]], author: Author, *, dry_run: bool) -> Outcome:
    objects = declared_in(texts)
    writes: list[Write] = [*await missing_namespaces(store, objects)]
    for key, declared in objects.items():
        kind = str(declared["kind"])
        kept = await store.find(key)
        if kept is None:
            value = at_first(with_defaults(declared, kind), kind)
            writes.append(Create(key, _with_record(value, declared)))
            continue
        before = kept.value()
        after = with_defaults(merged(before, declared), kind)
        check_fixed_fields(key, before, after)
        writes.append(Update(key, after, kept.revision))
    return _outcome(writes, await _commit(store, writes, author, "apply", dry_run=dry_run))


async def delete(store: Store, keys: Iterable[Key], author: Author, *, dry_run: bool) -> Outcome:
    """Delete objects in one change. Raises NotFoundError for the first that is not there, InvalidError for what
    cannot be deleted.
    """
    writes: list[Write] = [await deletion(store, key) for key in keys]
    return _outcome(writes, await _commit(store, writes, author, "delete", dry_run=dry_run))


async def take_back(store: Store, writes: Iterable[Write], author: Author, message: str, *, dry_run: bool) -> Outcome:
    """The writes that undo or roll back, as one change. Namespaces that every mesh has stay, and what comes back has
    its namespace.
    """
    listed = [write for write in writes if not is_immortal(write)]
    listed = [*await missing_namespaces(store, (each.key for each in listed if isinstance(each, Create))), *listed]
    return _outcome(listed, await _commit(store, listed, author, message, dry_run=dry_run))


async def existing(store: Store, keys: Iterable[Key]) -> list[Key]:
    """Those that are there. Raises NotFoundError when none is."""
    listed = list(keys)
    found = [key for key in listed if await store.find(key) is not None]
    if listed and not found:
        raise NotFoundError(listed[0])
    return found


async def _commit(store: Store, writes: list[Write], author: Author, message: str, *, dry_run: bool) -> Committed:
    return await (store.rehearse if dry_run else store.transact)(writes, author, message)


def _outcome(writes: list[Write], done: Committed) -> Outcome:
    actions: list[tuple[Key, str]] = []
    for write, written in zip(writes, done.written, strict=True):
        if isinstance(write, Create):
            action = "created"
        elif isinstance(write, Delete):
            action = "deleted"
        else:
            action = "unchanged" if written.event is None else "configured"
        key = written.version.key if written.version is not None else write.key
        actions.append((key, action))
    return Outcome(tuple(actions), done.change)


def merged(current: Json, declared: Json) -> Json:
    """`current` with what is declared now, and without what was declared last time and is no more."""
    before = _recorded(current)
    return _with_record(cast("Json", _merge(current, before, declared)), declared)


def _merge(current: object, before: object, declared: object) -> object:
    if not isinstance(current, dict) or not isinstance(declared, dict):
        return declared
    kept, wanted = cast("Json", current), cast("Json", declared)
    known = cast("Json", before) if isinstance(before, dict) else {}
    rest = {name: value for name, value in kept.items() if name in wanted or name not in known}
    return {**rest, **{name: _merge(rest.get(name), known.get(name), value) for name, value in wanted.items()}}


def _recorded(current: Mapping[str, Any]) -> Json:
    annotations = cast("Json", cast("Json", current.get("metadata") or {}).get("annotations") or {})
    try:
        value: object = json.loads(str(annotations.get(LAST_APPLIED) or "{}"))
    except ValueError:
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}


def _with_record(value: Json, declared: Json) -> Json:
    """`value` with the annotation that says what was declared; a Secret's data stand in it too, as with kubectl."""
    metadata: Json = dict(value["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: json.dumps(declared, default=str)}
    return {**value, "metadata": metadata}
