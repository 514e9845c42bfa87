"""Objects and changes, read from the store's file: also while no control plane runs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, cast

from meshwright.cli.report.draft import Draft, counted
from meshwright.store.engine import Place
from meshwright.store.errors import StorageError
from meshwright.store.names import ChangeNumber, Json, Resource
from meshwright.store.reading import records_on_disk
from meshwright.store.redact import SECRETS, redact, redact_difference
from meshwright.store.version import Version
from meshwright.wiring.local_mesh import LocalMesh

MOST_OBJECTS = 50_000
CHANGES = 100
SHOULD_BE_TRUE = frozenset({"Live", "Reconciled", "Available"})
"""Conditions, which say of what is fine that it is so; PassedAnalysis says what `analyze` does."""
MANAGED = "managedFields"
EVENTS = Resource("", "events")


def collect(report: Draft) -> str:
    """One file for each kind, and the last changes with what they changed."""
    try:
        with records_on_disk(report.mesh.data.store) as records:
            head = records.head()
            versions = records.scan(Place(), head.revision, None, MOST_OBJECTS)
            changes = records.changes(ChangeNumber(0), head.change, CHANGES)
    except StorageError as error:
        report.miss("objects", str(error))
        return "no objects"
    chosen = [each for each in versions if report.selection.namespace(each.key.namespace)]
    for resource, items in _by_kind(chosen).items():
        report.yaml(
            f"objects/{resource}.yaml",
            {"apiVersion": "v1", "kind": "List", "items": items},
            counted(len(items), "object"),
        )
    for version in chosen:
        for sentence in conditions(version):
            report.find(sentence)
    _warnings(report, [each.value() for each in chosen if each.key.resource == EVENTS])
    told = [
        {
            "number": change.number,
            "time": change.time,
            "author": change.author,
            "message": change.message,
            "objects": [
                dict(zip(("object", "before", "after"), (str(each.key), *redact_difference(each)), strict=True))
                for each in change.differences
                if report.selection.namespace(each.key.namespace)
            ],
        }
        for change in changes
    ]
    report.yaml("changes.yaml", told, f"the last {len(told)} changes, with what was before and after")
    return f"{counted(len(chosen), 'object')}, {counted(len(told), 'change')}"


def _warnings(report: Draft, events: Sequence[Json]) -> None:
    """One sentence for each reason of a warning, with the newest."""
    newest: dict[str, Json] = {}
    counted: Counter[str] = Counter()
    for event in sorted(events, key=lambda each: str(each.get("lastTimestamp") or "")):
        if event.get("type") == "Warning":
            newest[event["reason"]] = event
            counted[event["reason"]] += int(event.get("count") or 1)
    for reason, event in newest.items():
        about = event["involvedObject"]
        place = "/".join(filter(None, (about.get("namespace"), about.get("name"))))
        report.find(f"event {reason} ({counted[reason]}): {about.get('kind')} {place}: {event.get('message')}")


def as_list(mesh: LocalMesh) -> Json | None:
    """All objects, with their secrets, as one List; None when the store cannot be read. Not for a report."""
    try:
        with records_on_disk(mesh.data.store) as records:
            versions = records.scan(Place(), records.head().revision, None, MOST_OBJECTS)
    except StorageError:
        return None
    items = [each.value() for each in versions if each.key.resource != EVENTS]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def secret_values(mesh: LocalMesh) -> tuple[list[str], set[str]]:
    """What the data of Secrets are, certificates excepted; and the names of all objects, which are no secrets."""
    import base64
    import binascii

    try:
        with records_on_disk(mesh.data.store) as records:
            at = records.head().revision
            versions = records.scan(Place(), at, None, MOST_OBJECTS)
    except StorageError:
        return [], set()
    names = {word for each in versions for word in (each.key.name, each.key.namespace)}
    values: list[str] = []
    for version in versions:
        if version.key.resource != SECRETS:
            continue
        for member in cast("Json", version.value().get("data") or {}).values():
            try:
                plain = base64.b64decode(str(member)).decode()
            except (binascii.Error, ValueError):
                values.append(str(member))  # no text: only its base64 can stand anywhere
                continue
            values += pieces_of_pem(plain)
    return values, names


def pieces_of_pem(text: str) -> list[str]:
    """The secret parts of a text: of PEM the blocks with keys; everything where it is none."""
    if "-----BEGIN " not in text:
        return [text]
    begins = [f"-----BEGIN {block}" for block in text.split("-----BEGIN ")[1:]]
    return [block for block in begins if "PRIVATE KEY" in block.partition("\n")[0]]


def conditions(version: Version) -> Iterable[str]:
    """What an object's conditions say against it, in our own kinds of conditions and those of Deployments."""
    status = version.status.value() if version.status else {}
    listed = cast("Sequence[Json]", status.get("conditions") or ())
    name = f"{version.value()['kind']} {'/'.join(filter(None, (version.key.namespace, version.key.name)))}"
    for each in listed:
        if each.get("type") in SHOULD_BE_TRUE and each.get("status") == "False":
            yield f"{name}: {each['type']} is False: {each.get('reason', '')} {each.get('message', '')}"


def _by_kind(versions: Iterable[Version]) -> dict[str, list[Any]]:
    kinds: dict[str, list[Any]] = defaultdict(list)
    for version in versions:
        value = redact(version.key, version.value())
        metadata = {name: member for name, member in value["metadata"].items() if name != MANAGED}
        kinds[str(version.key.resource)].append({**value, "metadata": metadata})
    return kinds
