"""Who owns which field of an object: kept in `metadata.managedFields` by every write, asked by server-side apply.

All served versions of a kind share one schema, so the sets of fields need no conversion between versions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from meshwright.apiserver.failure import About, FieldError, conflict
from meshwright.apiserver.field_sets import (
    FieldSet,
    changed,
    fields_of,
    from_json,
    merged,
    readable,
    to_json,
    without,
)
from meshwright.apiserver.schemas import Shape
from meshwright.apiserver.values import Json, dig, is_list, is_map, metadata_of, without_nulls

APPLY, UPDATE = "Apply", "Update"
MOST_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE_APPLY = "before-first-apply"
NO_FIELDS: FieldSet = frozenset()


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes now: the manager's name, the apiVersion of the request and the time, as managedFields has them."""

    manager: str
    api_version: str
    time: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns through one kind of operation."""

    manager: str
    operation: str
    api_version: str
    time: str
    fields: FieldSet
    subresource: str = ""

    @property
    def is_apply(self) -> bool:
        return self.operation == APPLY and not self.subresource

    def json(self) -> Json:
        said: Json = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_json(self.fields),
        }
        if self.subresource:
            said["subresource"] = self.subresource
        return said


def entries_of(value: Json) -> list[Entry]:
    """The entries of an object; what is none of this form is left out."""
    found: list[Entry] = []
    listed = metadata_of(value).get("managedFields")
    for item in listed if is_list(listed) else ():
        if is_map(item) and item.get("operation") in (APPLY, UPDATE) and isinstance(item.get("manager"), str):
            texts = [str(item.get(name, "")) for name in ("manager", "operation", "apiVersion", "time")]
            fields = from_json(item.get("fieldsV1"))
            found.append(Entry(*texts, fields=fields, subresource=str(item.get("subresource", ""))))
    return found


def with_entries(value: Json, entries: Iterable[Entry]) -> Json:
    """The object with these entries as its managedFields."""
    metadata = {name: item for name, item in metadata_of(value).items() if name != "managedFields"}
    listed = [entry.json() for entry in entries if entry.fields]
    if listed:
        metadata["managedFields"] = listed
    return {**value, "metadata": metadata}


def after_update(before: Json | None, after: Json, writer: Writer, shape: Shape) -> Json:
    """`after` with the fields that this write sets moved to the writer. `before` is None for a new object."""
    old = fields_of(before, shape) if before is not None else {}
    new = fields_of(after, shape)
    touched = changed(old, new)
    entries = _base_entries(before, after)
    kept: list[Entry] = []
    mine = NO_FIELDS
    time = writer.time
    for entry in entries:
        fields = entry.fields & new.keys()
        is_mine = (entry.manager, entry.operation, entry.api_version, entry.subresource) == (
            writer.manager,
            UPDATE,
            writer.api_version,
            "",
        )
        if is_mine:
            mine = fields
            time = entry.time if not touched and fields == entry.fields else writer.time
        else:
            fields -= touched
            kept.append(entry if fields == entry.fields else replace(entry, fields=fields))
    own = Entry(writer.manager, UPDATE, writer.api_version, time, mine | touched)
    return with_entries(after, _few([*kept, own]))


def _base_entries(before: Json | None, after: Json) -> list[Entry]:
    """A writer may hand in the list it read, changed or not; an absent list stands for the one that is there.

    A list with one empty entry takes all ownership away.
    """
    sent = metadata_of(after).get("managedFields")
    if before is None:
        return []
    if not sent:
        return entries_of(before)
    if sent == [{}]:
        return []
    return entries_of(after) or entries_of(before)


def _few(entries: list[Entry]) -> list[Entry]:
    """Never more than a few managers that update: the oldest become one."""
    updates = (entry for entry in entries if entry.operation == UPDATE)
    updaters = sorted(updates, key=lambda entry: (entry.manager != ANCIENT, entry.time))
    surplus = len(updaters) - MOST_UPDATERS
    if surplus <= 0:
        return entries
    old = updaters[: surplus + 1]
    fields = NO_FIELDS.union(*(entry.fields for entry in old))
    ancient = Entry(ANCIENT, UPDATE, old[-1].api_version, old[-1].time, fields)
    return [*(entry for entry in entries if entry not in old), ancient]


def apply(live: Json | None, applied: Json, writer: Writer, shape: Shape, about: About, *, force: bool) -> Json:
    """Server-side apply: the object that results, with its managedFields. Raises Failure 409 with all conflicts."""
    config: Json = without_nulls(applied)
    owned = frozenset(fields_of(config, shape))
    if live is None:
        entry = Entry(writer.manager, APPLY, writer.api_version, writer.time, owned)
        return with_entries(config, [entry])
    entries = _entries_or_all(live, shape)
    mine = next((entry for entry in entries if entry.is_apply and entry.manager == writer.manager), None)
    others = [entry for entry in entries if entry is not mine]
    both: Json = merged({**live, "metadata": _own_metadata(live)}, config, shape)
    wanted = fields_of(both, shape)
    touched = changed(fields_of(live, shape), wanted)
    others = _settle(others, touched, about, force=force)
    last = mine.fields if mine is not None else NO_FIELDS
    held = owned.union(*(entry.fields for entry in others))
    result: Json = without(both, last - owned, held, shape)
    left = frozenset(fields_of(result, shape))
    others = [replace(entry, fields=entry.fields & left) if entry.fields - left else entry for entry in others]
    unchanged = mine is not None and mine.fields == owned and not touched and mine.api_version == writer.api_version
    time = mine.time if unchanged and mine is not None else writer.time
    return with_entries(result, [*others, Entry(writer.manager, APPLY, writer.api_version, time, owned)])


def _own_metadata(live: Json) -> Json:
    return {name: item for name, item in metadata_of(live).items() if name != "managedFields"}


def _entries_or_all(live: Json, shape: Shape) -> list[Entry]:
    """An object that nobody is known to own belongs to whoever was before."""
    entries = entries_of(live)
    if entries:
        return entries
    time = str(dig(live, "metadata", "creationTimestamp") or "")
    fields = frozenset(fields_of(live, shape))
    return [Entry(BEFORE_APPLY, UPDATE, str(live.get("apiVersion", "")), time, fields)]


def _settle(others: list[Entry], touched: FieldSet, about: About, *, force: bool) -> list[Entry]:
    """Takes the fields from the others, if that is wanted. Raises Failure 409."""
    fought = [(entry, entry.fields & touched) for entry in others if not entry.subresource]
    if force:
        return [replace(entry, fields=entry.fields - touched) for entry in others]
    causes = [
        FieldError(readable(path), f"conflict with {_described(entry)}", "FieldManagerConflict")
        for entry, paths in fought
        for path in sorted(paths)
    ]
    if not causes:
        return others
    count = "1 conflict" if len(causes) == 1 else f"{len(causes)} conflicts"
    lines = {f"{cause.message}: {cause.path}" for cause in causes}
    first = next(iter(lines)) if len(lines) == 1 else "\n".join(_grouped(causes))
    raise conflict(about, f"Apply failed with {count}: {first}", causes)


def _described(entry: Entry) -> str:
    if entry.operation == UPDATE:
        return f'"{entry.manager}" using {entry.api_version}'
    return f'"{entry.manager}"'


def _grouped(causes: list[FieldError]) -> list[str]:
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause.message, []).append(cause.path)
    lines: list[str] = []
    for message, paths in sorted(by_manager.items()):
        lines += [f"{message.replace('conflict', 'conflicts', 1)}:", *(f"- {path}" for path in paths)]
    return lines
