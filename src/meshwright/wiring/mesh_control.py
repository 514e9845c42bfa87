"""What a running mesh does for the command line: `run/mesh.sock`, lines of JSON, for the user whose mesh it is.

Operations: apply, delete, get, changes, diff, undo, rollback, receipt, proxies, origins, describe,
explain, analyze, metrics. Each answer is an object; a refusal has the reason in words.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.documents.render import as_json, render
from meshwright.kinds.table import KINDS
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.sentence import Sentence
from meshwright.node.server import NodeServer
from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.server import Answer, Connection, Server
from meshwright.processes.state import DataDirectory
from meshwright.status.mesh_status import MeshStatus
from meshwright.status.subjects import key_of
from meshwright.store.errors import StoreError
from meshwright.store.history import Change, Revert
from meshwright.store.names import Author, ChangeNumber, Key, Resource
from meshwright.store.redact import redact_difference
from meshwright.store.store import Store
from meshwright.wiring import applying, references
from meshwright.wiring.analyze_operation import analyze_operation
from meshwright.wiring.applying import Outcome
from meshwright.wiring.describe_operation import DescribeOperation, kind_of
from meshwright.wiring.explain_operation import explain_operation
from meshwright.wiring.get_operation import get_operation
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.loading import load
from meshwright.wiring.proxy_origins import origins_answer
from meshwright.wiring.receipts import Receipt, Receipts, in_words
from meshwright.wiring.remedies import remedies
from meshwright.wiring.seeding import objects_of
from meshwright.wiring.sentences import CHANGES, REFUSALS, of_store_error
from meshwright.wiring.source_lines import FILE, SourceLines
from meshwright.wiring.tls_steps import Stage
from meshwright.wiring.topology import topology_operation
from meshwright.wiring.undoing import last_of_a_person, newest_of_people
from meshwright.wiring.visitors_operation import visitors_operation
from meshwright.wiring.volume_findings import volume_findings
from meshwright.wiring.wait_operation import WaitOperation, refusal_notes

SOCKET = "mesh.sock"
LONGEST_WAIT_SECONDS = 600.0
BLAME_SECONDS = 10.0  # at most: until it is known whose fault a refusal is, and who is caught up in it is live
FIXED = "added by --fix"


class MeshControl:
    """Answers from the store, the living mesh and its receipts."""

    def __init__(
        self,
        data: DataDirectory,
        store: Store,
        mesh: LiveMesh,
        receipts: Receipts,
        nodes: NodeServer,
        status: MeshStatus,
    ) -> None:
        self._path = data.run / SOCKET
        self._store = store
        self._mesh = mesh
        self._receipts = receipts
        self._nodes = nodes
        self._status = status
        self._sources = SourceLines(data.root / FILE, store)
        self._operations: dict[str, Callable[[Fields], Awaitable[dict[str, Any]]]] = {
            "apply": self._apply,
            "delete": self._delete,
            "get": get_operation(store),
            "changes": self._changes,
            "diff": self._diff,
            "undo": self._undo,
            "rollback": self._rollback,
            "receipt": self._receipt,
            "proxies": self._proxies,
            "describe": DescribeOperation(store, mesh, receipts, nodes, self._sources).answer,
            "analyze": analyze_operation(mesh, self._sources.find),
            "explain": explain_operation(mesh, receipts, self._lines_in_effect),
            "topology": topology_operation(mesh),
            "visitors": visitors_operation(store),
            "wait": WaitOperation(status, store, self._sources.find).answer,
        }

    def also(self, name: str, operation: Callable[[Fields], Awaitable[dict[str, Any]]]) -> None:
        """One more operation."""
        self._operations[name] = operation

    async def serve(self) -> None:
        """Answer until cancelled."""
        server = Server(self._path, self._handle)
        try:
            async with asyncio.TaskGroup() as tasks:
                await server.serve(tasks)
        finally:
            self._path.unlink(missing_ok=True)

    async def _handle(self, connection: Connection, operation: str, fields: Fields) -> Answer:
        del connection
        if operation == "origins":
            return await origins_answer(self._mesh.published.value, fields.text("proxy"), self._lines_in_effect)
        handler = self._operations.get(operation)
        if handler is None:
            raise BadRequest(f"there is no operation {operation[:80]!r}", "unknown-operation")
        try:
            return await handler(fields), []
        except StoreError as error:
            said = of_store_error(error)
            raise BadRequest(str(error), "refused", None if said is None else said.as_json()) from None

    # ------------------------------------------------------------ writing

    async def _apply(self, fields: Fields) -> dict[str, Any]:
        """Nothing is written when a document is refused; all findings come at once."""
        texts = _texts(fields)
        loaded = load(texts)
        dry_run, fix = fields.flag("dry_run", default=False), fields.flag("fix", default=False)
        found = (*loaded.diagnostics, *volume_findings(loaded.objects, self._mesh.rung))
        if dry_run:  # otherwise the compiler says what does not fit, when it is written
            found += references.missing(loaded.objects, self._objects(), loaded.objects)
        findings = [(each, render(each, loaded.lines), as_json(each, loaded.lines)) for each in found]
        answer: dict[str, Any] = {
            "findings": [text for _, text, _ in findings],
            "diagnostics": [value for _, _, value in findings],
        }
        if loaded.refused:
            return {**answer, "refused": len(loaded.refused), "objects": [], "change": None, "receipt": None}
        found = await remedies(self._store, self._objects(), loaded.objects, texts)
        wanted = [each.text for each in found if each.value is not None]
        if fix:
            texts = [*texts, *((FIXED, text) for text in wanted)]
        done = await applying.apply(self._store, texts, _author(fields), dry_run=dry_run)
        if not dry_run:
            await self._sources.remember(texts)
        told = await self._told(done, fields, dry_run=dry_run)
        missing = [each.why for each in found if each.why]
        return {**answer, "refused": 0, "missing": missing, "wanted": wanted, "fixed": fix, **told}

    def _objects(self) -> MeshObjects:
        return MeshObjects() if self._mesh.loaded is None else self._mesh.loaded.objects

    async def _delete(self, fields: Fields) -> dict[str, Any]:
        """What is named must be there, all of it; of documents goes what is there."""
        named = [_named(Fields(item), fields) for item in fields.items("objects")]
        declared = list(objects_of(_texts(fields)))
        dry_run = fields.flag("dry_run", default=False)
        there = await applying.existing(self._store, declared)
        keys = tuple(dict.fromkeys((*there, *named)))
        done = await applying.delete(self._store, keys, _author(fields), dry_run=dry_run)
        absent = [_shown(key) for key in declared if key not in there]
        return {**await self._told(done, fields, dry_run=dry_run), "absent": absent}

    async def _undo(self, fields: Fields) -> dict[str, Any]:
        number = fields.integer("change", 0) or await last_of_a_person(self._store)
        return await self._take_back(lambda: self._store.revert([ChangeNumber(number)]), "undo", number, fields)

    async def _rollback(self, fields: Fields) -> dict[str, Any]:
        number = fields.integer("change")
        wanted = ChangeNumber(number)
        return await self._take_back(lambda: self._store.rollback(wanted), "rollback", number, fields)

    async def _take_back(
        self, revert: Callable[[], Awaitable[Revert]], how: str, number: int, fields: Fields
    ) -> dict[str, Any]:
        """`how`: undo or rollback."""
        dry_run = fields.flag("dry_run", default=False)
        message = str(CHANGES.say(f"change-{how}", change=number))

        async def attempt() -> Outcome:
            back = await revert()
            told = tuple(
                REFUSALS.say("changed-since", object=_shown(key), paths=tuple(paths)) for key, paths in back.conflicts
            )
            if told:
                said = REFUSALS.say(f"{how}-conflicts", change=number, conflicts=told)
                raise BadRequest(str(said), "refused", said.as_json())
            return await applying.take_back(self._store, back.writes, _author(fields), message, dry_run=dry_run)

        return await self._told(await applying.until_alone(attempt), fields, dry_run=dry_run)

    async def _told(self, done: Outcome, fields: Fields, *, dry_run: bool) -> dict[str, Any]:
        """The objects, the change's number, its receipt, and what the compiler says of the objects now."""
        objects = [{"object": _shown(key), "action": action} for key, action in done.actions]
        if dry_run or done.change is None:
            withheld = [] if dry_run else self._withheld({key for key, _ in done.actions})
            answer = {"objects": objects, "change": done.change, "receipt": None, "notes": []}
            return {**answer, **_withheld_values(withheld)}
        receipt = await self._receipts.wait(done.change, min(fields.integer("wait", 5), LONGEST_WAIT_SECONDS))
        keys = [key for key, _ in done.actions]
        notes = await self._notes(set(keys))
        if receipt is not None and receipt.refused:
            receipt, told_of = await self._blamed(receipt, keys)
            notes += told_of
        told = _receipt(receipt)
        if told is not None and (withheld := self._withheld(set(keys))):
            told |= {**_withheld_values(withheld), "live": False}
        return {"objects": objects, "change": done.change, "receipt": told, "notes": notes}

    async def _blamed(self, receipt: Receipt, keys: Sequence[Key]) -> tuple[Receipt, list[str]]:
        """What Envoy refuses of these objects. A proxy refuses a resource of many objects as a whole, and an object
        that was refused earlier is tried again now and then: what is caught up in that is taken a moment later.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + BLAME_SECONDS
        found = await refusal_notes(self._status, keys, self._sources.find, BLAME_SECONDS)
        if found:
            return receipt, found
        return await self._receipts.taken(receipt.change, max(end - clock(), 0.0)) or receipt, []

    def _withheld(self, keys: set[Key]) -> list[Sentence]:
        """Which of these are not in effect, and why, one line each."""
        found = (each for each in self._mesh.published.value.diagnostics if each.code == codes.ROUTE_WITHHELD)
        mine = [each for each in found if key_of(each.origin.object) in keys]
        return [in_words(each) for each in mine]

    async def _lines_in_effect(self, refs: frozenset[ObjectRef]) -> Mapping[ObjectRef, Lines]:
        """Where objects were written, without those instead of which an earlier version is in effect."""
        return await self._sources.find(refs - self._mesh.withheld.replaced)

    async def _notes(self, keys: set[Key]) -> list[str]:
        """What the compiler says of these objects; not that a Service has no pods yet which are being made."""
        touched = {(key.namespace, key.name) for key in keys}
        found: Iterable[Diagnostic] = self._mesh.published.value.diagnostics
        awaited = awaiting_pods(self._objects())
        mine = [
            each
            for each in found
            if (each.origin.object.namespace, each.origin.object.name) in touched
            and not (each.code == codes.NO_ENDPOINTS and each.origin.object in awaited)
        ]
        lines = await self._sources.find(frozenset(each.origin.object for each in mine))
        return [render(each, lines.get(each.origin.object, Lines())) for each in mine]

    # ------------------------------------------------------------ reading

    async def _changes(self, fields: Fields) -> dict[str, Any]:
        key = _named(fields, fields) if fields.text("kind", "") else None
        limit = fields.integer("limit", 20)
        everything = fields.flag("everything", default=False)
        store = self._store
        found = await store.changes(limit, key) if everything else await newest_of_people(store, limit, key)
        return {"changes": [self._change(change) for change in found]}

    async def _diff(self, fields: Fields) -> dict[str, Any]:
        head = await self._store.head()
        old = fields.integer("old")
        found = await self._store.diff(ChangeNumber(old), ChangeNumber(fields.integer("new", 0) or head.change))
        sides = [(each.key, redact_difference(each)) for each in found]
        return {"differences": [{"object": _shown(key), "before": b, "after": a} for key, (b, a) in sides]}

    async def _receipt(self, fields: Fields) -> dict[str, Any]:
        number = fields.integer("change", 0) or (await self._store.head()).change
        wait = min(fields.integer("wait", 0), LONGEST_WAIT_SECONDS)
        return {"change": number, "receipt": _receipt(await self._receipts.wait(number, wait))}

    async def _proxies(self, fields: Fields) -> dict[str, Any]:
        """How far every proxy is, as its machine reports it; `change` is the newest one that it runs."""
        del fields
        newest = self._mesh.published.value.change
        return {
            "proxies": [
                {
                    "name": name,
                    "connected": each.connected,
                    "synced": each.connected and each.change >= newest,
                    "change": self._receipts.change_of(each.change) if each.connected else None,
                    "refused": [resource for _, resource, _ in each.refused],
                    "complaints": [complaint.message for complaint in each.complaints],
                }
                for name, each in sorted(self._nodes.progress().items())
            ]
        }

    def _change(self, change: Change) -> dict[str, Any]:
        return {
            "number": change.number,
            "time": change.time,
            "author": change.author,
            "message": change.message,
            "said": None if (said := CHANGES.read(change.message)) is None else said.as_json(),
            "objects": [_shown(each.key) for each in change.differences],
            "receipt": _receipt(self._receipts.of(change.number)),
        }


def _named(words: Fields, fields: Fields) -> Key:
    """The object that `kind` and `name` mean in the asked namespace."""
    kind = kind_of(words.text("kind"))
    namespace = fields.text("namespace", "default") if kind.namespaced else ""
    return Key(Resource(kind.group, kind.plural), namespace, words.text("name"))


def awaiting_pods(objects: MeshObjects) -> frozenset[ObjectRef]:
    """Services that a Deployment or StatefulSet makes pods for: that there are none yet is no mistake."""
    wanted = [each for each in objects.deployments if each.replicas]
    return frozenset(
        service.meta.ref
        for service in objects.services
        if service.selector
        and any(
            each.meta.namespace == service.meta.namespace and each.template.labels.includes(service.selector)
            for each in wanted
        )
    )


def _texts(fields: Fields) -> list[tuple[str, str]]:
    texts: list[tuple[str, str]] = []
    for item in fields.items("texts"):
        part = Fields(item)
        texts.append((part.text("file"), part.text("text")))
    return texts


def _author(fields: Fields) -> Author:
    return Author(fields.text("author", "meshwright"))


def _shown(key: Key) -> str:
    """VirtualService default/reviews."""
    known = {(kind.group, kind.plural): kind.kind for kind in KINDS}
    kind = known.get((key.resource.group, key.resource.plural), key.resource.plural)
    return f"{kind} {key.namespace}/{key.name}" if key.namespace else f"{kind} {key.name}"


def _withheld_values(withheld: Iterable[Sentence]) -> dict[str, Any]:
    """In English, and beside it for those who say it in another language."""
    listed = list(withheld)
    return {"withheld": [str(each) for each in listed], "withheld_said": [each.as_json() for each in listed]}


def _receipt(receipt: Receipt | None) -> dict[str, Any] | None:
    if receipt is None:
        return None
    return {
        "change": receipt.change,
        "live": receipt.live,
        "affected": len(receipt.affected),
        "waiting": list(receipt.waiting),
        "absent": list(receipt.absent),
        "refused": list(receipt.refused),
        **_withheld_values(receipt.withheld),
        "steps": list(receipt.steps),
        "stages": [Stage(each).name.lower() for each in receipt.steps],
        "milliseconds": None if receipt.milliseconds is None else round(receipt.milliseconds, 1),
    }
