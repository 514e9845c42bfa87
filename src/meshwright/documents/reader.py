"""The door: `read` turns the text of one file into documents and says what was wrong with the rest."""

import codecs
from collections.abc import Iterator

from meshwright.documents import json_text, yaml_text
from meshwright.documents.document import Document, Location, Mark, Parsed, Value
from meshwright.documents.identity import file_ref, ref_of, salvage
from meshwright.documents.problem import LimitProblem, SyntaxProblem
from meshwright.documents.yaml_text import Raw, Repeated
from meshwright.model import codes
from meshwright.model.diagnostic import Code, Diagnostic
from meshwright.model.origin import ObjectRef, Origin

MAX_SIZE = 64 * 1024 * 1024  # characters of one file; a whole cluster's `kubectl get -o yaml` fits
MAX_PATH = 12  # steps of the path to a broken place that are told
MAX_REPEATED = 20  # repeated fields that are reported one by one

_REQUIRED = (
    ("apiVersion", "e.g. networking.istio.io/v1"),
    ("kind", "e.g. VirtualService"),
)


def read(text: str | bytes, file: str) -> Parsed:
    """All objects of a text (YAML of several documents, JSON, Lists of objects). `file` is used for messages only.

    Nothing raises: what cannot be read is a diagnostic, and the documents after it are read all the same.
    """
    reading = _Reading(file)
    plain = reading.decode(text)
    if plain is not None:
        reading.all_of(plain)
    return Parsed(tuple(reading.documents), tuple(reading.diagnostics), reading.places)


class _Reading:
    """Collects what one text holds."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.documents: list[Document] = []
        self.diagnostics: list[Diagnostic] = []
        self.places: dict[Origin, Location] = {}

    def decode(self, text: str | bytes) -> str | None:
        """The text without byte order mark; None (and a diagnostic) when it is no text."""
        whole = Origin(file_ref(self._file))
        if len(text) > MAX_SIZE:
            self._report(codes.LIMIT, whole, Location(self._file, 1), f"{MAX_SIZE // 1024 // 1024} MiB")
            return None
        try:
            if isinstance(text, bytes):
                utf16 = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                return text.decode("utf-16" if utf16 else "utf-8-sig")
            text.encode()
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeEncodeError | UnicodeDecodeError) else 0
            line = text[:start].count(b"\n" if isinstance(text, bytes) else "\n") + 1  # pyright: ignore[reportArgumentType]
            place = Location(self._file, line)
            self._report(codes.NOT_YAML, whole, place, "it is not UTF-8 text", f"save it as UTF-8 (line {line})")
            return None
        return text.removeprefix("\ufeff")

    def all_of(self, text: str) -> None:
        parse = json_text.documents_of if json_text.is_json(text) else yaml_text.documents_of
        for raw in parse(text.replace("\r\n", "\n").replace("\r", "\n")):
            if raw.problem is not None:
                self._broken(raw, raw.problem)
            elif raw.value is not None:
                for value, mark in _flatten(raw.value, raw.mark):
                    self._object(value, mark, raw.repeated)

    def _broken(self, raw: Raw, problem: SyntaxProblem) -> None:
        """A document whose text ends in a problem: its identity is kept where it can still be made out."""
        value = salvage(raw.text)
        ref = ref_of(value) if value else file_ref(self._file)
        path = _path(problem.path[:MAX_PATH]) if value else f"document[{len(self.documents)}]"
        place = Location(self._file, problem.line, problem.column)
        if value:
            self._add(ref, value, Mark(problem.line, problem.column), refused=True)
        if "{{" in raw.text:
            sentence, fix = "it is a template", "render it first, e.g. with `helm template`"
            self._report(codes.NOT_YAML, Origin(ref, path), place, sentence, fix)
        elif isinstance(problem, LimitProblem):
            self._report(codes.LIMIT, Origin(ref, path), place, problem.sentence)
        else:
            self._report(codes.NOT_YAML, Origin(ref, path), place, problem.sentence, problem.fix)

    def _object(self, value: Value, mark: Mark, repeated: list[Repeated]) -> None:
        index = len(self.documents)
        place = Location(self._file, mark.line, mark.column)
        nowhere = Origin(file_ref(self._file), f"document[{index}]")
        if not isinstance(value, dict):
            fix = "start it with apiVersion, kind and metadata"
            self._report(codes.WRONG_TYPE, nowhere, place, "an object", _name_of(value), fix)
            return
        ref = ref_of(value)
        if not self._has_identity(value, ref, nowhere, mark):
            if ref.kind and ref.name:
                self._add(ref, value, mark, refused=True)
            return
        refused = False
        for twice in repeated[:MAX_REPEATED]:
            path = _find(mark, twice.inside)
            if path is not None:
                refused = True
                origin = Origin(ref, _path([*path, twice.name]))
                self._report(
                    codes.DUPLICATE, origin, Location(self._file, twice.line, twice.column), f"`{twice.name}`"
                )
        self._add(ref, value, mark, refused=refused)

    def _has_identity(self, value: dict[str, Value], ref: ObjectRef, nowhere: Origin, mark: Mark) -> bool:
        """Whether apiVersion, kind and metadata.name are there; says so for each that is not."""
        missing = [(name, example) for name, example in _REQUIRED if not isinstance(value.get(name), str)]
        if not ref.name:
            missing.append(("metadata.name", _name_advice(value)))
        document = Document(self._file, 0, ref, value, mark)
        for name, example in missing:
            origin = Origin(ref, name) if ref.kind and ref.name else Origin(nowhere.object, f"{nowhere.path}.{name}")
            self._report(codes.MISSING_FIELD, origin, document.locate(name), name, example)
        return not missing

    def _add(self, ref: ObjectRef, value: dict[str, Value], mark: Mark, *, refused: bool) -> None:
        self.documents.append(Document(self._file, len(self.documents), ref, value, mark, refused))

    def _report(self, code: Code, origin: Origin, place: Location, *args: str) -> None:
        self.diagnostics.append(Diagnostic(code, origin, args))
        self.places.setdefault(origin, place)


def _flatten(value: Value, mark: Mark) -> Iterator[tuple[Value, Mark]]:
    """The objects of a `kind: List` (or `VirtualServiceList`, ...) or of a plain list of objects, else the value."""
    if isinstance(value, list) and isinstance(mark.inside, list):
        for item, item_mark in zip(value, mark.inside, strict=True):
            yield from _flatten(item, item_mark)
        return
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(kind, str) and kind.endswith("List") and isinstance(mark.inside, dict):
        items, marks = value.get("items"), mark.inside.get("items")
        if isinstance(items, list) and marks is not None and isinstance(marks.inside, list):
            for item, item_mark in zip(items, marks.inside, strict=True):
                yield from _flatten(_with_kind(item, kind, value), item_mark)
            return
        if "spec" not in value:
            return
    yield value, mark


def _with_kind(item: Value, list_kind: str, holder: dict[str, Value]) -> Value:
    """Elements of a typed list may leave their own kind out."""
    if not isinstance(item, dict) or list_kind == "List" or "kind" in item:
        return item
    return {"apiVersion": holder.get("apiVersion"), "kind": list_kind.removesuffix("List"), **item}


def _find(mark: Mark, wanted: dict[str, Mark]) -> list[str | int] | None:
    """The path from `mark` to the mapping whose marks are `wanted`."""
    inside = mark.inside
    if inside is wanted:
        return []
    items = inside.items() if isinstance(inside, dict) else enumerate(inside or ())
    for part, child in items:
        rest = _find(child, wanted) if child.inside is not None else None
        if rest is not None:
            return [part, *rest]
    return None


def _name_advice(value: dict[str, Value]) -> str:
    metadata = value.get("metadata")
    if isinstance(metadata, dict) and metadata.get("name") is not None:
        return "a text, so put the name in quotes"
    return "move `name` below `metadata` (indent it)" if "name" in value else "a text, unique for kind and namespace"


def _path(parts: list[str | int]) -> str:
    origin = Origin(file_ref(""))
    for part in parts:
        origin = origin.item(part) if isinstance(part, int) else origin.field(part)
    return origin.path


def _name_of(value: Value) -> str:
    if isinstance(value, str):
        return "text"
    return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else "a single value"
