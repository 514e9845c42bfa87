"""The shapes of values, and the checker that reports every deviation of a document at once.

Kinds describe themselves with these types in small tables. `check` adds findings to a `Run`; it never raises, and
what it lets pass has the types that `Fields` promises. A null stands for an absent field, as in Kubernetes.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from meshwright.documents.document import Value
from meshwright.kinds.durations import LONGEST, exact_milliseconds
from meshwright.kinds.fields import Fields
from meshwright.kinds.formats import Format
from meshwright.kinds.place import Place, origin_of
from meshwright.kinds.sound import told_by
from meshwright.model import codes
from meshwright.model.diagnostic import Code, Diagnostic
from meshwright.model.origin import ObjectRef

MAX_PORT = 65535
INT32 = 2**31 - 1
UINT32 = 2**32 - 1


class Type(Protocol):
    """A shape that a value can have."""

    def check(self, value: Value, place: Place, run: "Run") -> None:
        """Reports what is wrong with `value` to `run`."""
        ...


Rule = Callable[[Fields], Iterable[Diagnostic]]


@dataclass(slots=True)
class Run:
    """One walk over one document. `secret` keeps values out of every sentence."""

    ref: ObjectRef
    secret: bool = False
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])
    around: list[tuple["Object", Place]] = field(default_factory=list[tuple["Object", Place]])

    def report(self, code: Code, place: Place, *args: str) -> None:
        self.findings.append(Diagnostic(code, origin_of(self.ref, place), args))

    def wrong_type(self, place: Place, wanted: str, value: Value, fix: str) -> None:
        self.report(codes.WRONG_TYPE, place, wanted, self.describe(value), fix)

    def quote(self, text: str) -> str:
        """A text of the user for a sentence: short, and never a secret."""
        longest = 60
        return "the value" if self.secret else f'"{text}"' if len(text) <= longest else f'"{text[:longest]}..."'

    def describe(self, value: Value) -> str:
        match value:
            case bool():
                return "a boolean" if self.secret else str(value).lower()
            case int() | float():
                return "a number" if self.secret else f"the number {value}"
            case str():
                return "text" if self.secret else f"the text {self.quote(value)}"
            case list():
                return "a list"
            case dict():
                return "an object"
            case None:
                return "nothing"


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    words = list(known)
    folded = {"".join(c for c in name.lower() if c.isalnum()): name for name in words}
    plain = "".join(c for c in word.lower() if c.isalnum())
    if plain in folded:
        return folded[plain]
    close = difflib.get_close_matches(plain, folded, n=1, cutoff=0.65)
    return folded[close[0]] if close else None


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `format` when it must have a shape, `problem` for rules that explain themselves (regexes)."""

    format: Format | None = None
    empty: bool = True
    longest: int = 1 << 20
    problem: Callable[[str], str | None] | None = None

    def check(self, value: Value, place: Place, run: Run) -> None:
        if not isinstance(value, str):
            single = isinstance(value, int | float)
            fix = (
                "put the value in quotes"
                if single
                else "write a single text here, or move what is below up one level"
            )
            run.wrong_type(place, "text", value, fix)
        elif not value and self.empty:
            return
        elif self.format is not None and not self.format.matches(value):
            run.report(codes.BAD_FORMAT, place, run.quote(value), self.format.name, self.format.example)
        elif not value:
            run.report(codes.BAD_FORMAT, place, "an empty text", "a value", "a text that is not empty")
        elif len(value) > self.longest:
            run.report(
                codes.OUT_OF_RANGE, place, f"a text of {len(value)} characters", f"1..{self.longest} characters"
            )
        elif self.problem is not None and (problem := self.problem(value)):
            run.report(codes.BAD_REGEX, place, run.quote(value), problem)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds (both included)."""

    low: int = 0
    high: int = INT32

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            run.wrong_type(place, "a whole number", value, _number_fix(value, run))
        elif not self.low <= value <= self.high:
            bounds = f"{self.low}..{self.high}" if self.high < INT32 else f"{self.low} and more"
            run.report(codes.OUT_OF_RANGE, place, "it" if run.secret else str(value), bounds)


@dataclass(frozen=True, slots=True)
class Number:
    """A number with fraction within bounds."""

    low: float = 0
    high: float = float(INT32)

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            run.wrong_type(place, "a number", value, _number_fix(value, run))
        elif not self.low <= value <= self.high:
            run.report(codes.OUT_OF_RANGE, place, str(value), f"{self.low:g}..{self.high:g}")


def _number_fix(value: Value, run: Run) -> str:
    if isinstance(value, str) and not run.secret:
        plain = value.strip().removesuffix("%").strip()
        if plain.lstrip("-").isdigit():
            return f"write {plain} without quotes" if plain == value else f"write {plain}"
    return "write a number, e.g. 80"


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def check(self, value: Value, place: Place, run: Run) -> None:
        if not isinstance(value, bool):
            wanted = value.lower() if isinstance(value, str) and value.lower() in ("true", "false") else ""
            run.wrong_type(place, "true or false", value, f"write {wanted or 'true or false'} without quotes")


@dataclass(frozen=True, slots=True)
class Enum:
    """One of a few words, upper and lower case told apart."""

    values: tuple[str, ...]
    aliases: tuple[str, ...] = ()  # accepted, never suggested

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, str) and (value in self.values or value in self.aliases):
            return
        choices = ", ".join(self.values)
        if not isinstance(value, str):
            run.wrong_type(place, f"one of {choices}", value, f"write one of {choices}")
            return
        meant = suggest(value, self.values)
        fix = f"did you mean {meant}?" if meant else f"use one of {choices}"
        run.report(codes.UNKNOWN_VALUE, place, run.quote(value), choices, fix)


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration such as `1.5s`, at least `least` milliseconds."""

    least: int = 1

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            run.wrong_type(place, "a duration such as 5s", value, f"write the unit too: {value}s")
            return
        if not isinstance(value, str):
            run.wrong_type(place, "a duration such as 5s", value, "write a duration such as 5s")
            return
        exact = exact_milliseconds(value)
        if exact is None:
            run.report(codes.BAD_FORMAT, place, run.quote(value), "a duration", "5s, 300ms or 1h10m")
        elif exact < self.least:
            run.report(codes.OUT_OF_RANGE, place, run.quote(value), f"{self.least}ms and more")
        elif exact > LONGEST:
            run.report(codes.OUT_OF_RANGE, place, run.quote(value), "2562047h and less")


@dataclass(frozen=True, slots=True)
class NumberOrName:
    """A port: its number, or the name of a container port."""

    format: Format

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, str):
            if value.isdigit():
                run.wrong_type(place, "a port's number or name", value, f"write {value} without quotes")
            else:
                Text(self.format, empty=False).check(value, place, run)
        else:
            Integer(1, MAX_PORT).check(value, place, run)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; `unique` names the field of its objects that must differ."""

    item: Type
    least: int = 0
    most: int = 1 << 20
    unique: str = ""

    def check(self, value: Value, place: Place, run: Run) -> None:
        if not isinstance(value, list):
            run.wrong_type(place, "a list", value, "write it as a list: start each element with `- `")
            return
        if len(value) < self.least:
            name = "the list" if place is None else f"`{place[1]}`"
            run.report(codes.MISSING_FIELD, place, f"an entry of {name}", "a line that starts with `- `")
        elif len(value) > self.most:
            run.report(codes.OUT_OF_RANGE, place, f"a list of {len(value)}", f"{self.least}..{self.most} entries")
        check = self.item.check
        for index, item in enumerate(value):
            check(item, (place, index), run)
        if self.unique:
            self._check_unique(value, place, run)

    def _check_unique(self, items: list[Value], place: Place, run: Run) -> None:
        seen: set[object] = set()
        for index, item in enumerate(items):
            key = item.get(self.unique) if isinstance(item, dict) else None
            if key is None or isinstance(key, list | dict):
                continue
            if key in seen:
                run.report(codes.DUPLICATE, ((place, index), self.unique), f"{self.unique} {key}")
            seen.add(key)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map with free keys."""

    value: Type
    key: Format | None = None
    nullable: bool = False

    def check(self, value: Value, place: Place, run: Run) -> None:
        if not isinstance(value, dict):
            run.wrong_type(place, "an object", value, "write `name: value` lines below it")
            return
        for name, item in value.items():
            if self.key is not None and not self.key.matches(name):
                run.report(codes.BAD_FORMAT, (place, name), f'"{name}"', self.key.name, self.key.example)
            if item is None and self.nullable:
                continue
            self.value.check(item, (place, name), run)


@dataclass(frozen=True, slots=True)
class Anything:
    """A field that is valid but has no meaning for the mesh: accepted as it is."""

    def check(self, value: Value, place: Place, run: Run) -> None:
        """Nothing to check."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A field that Istio has and this mesh cannot do yet: left out, and said so."""

    instead: str = "the rest of the object works without it"

    def check(self, value: Value, place: Place, run: Run) -> None:
        name = str(place[1]) if place is not None else ""
        if value not in ({}, []):
            run.report(codes.NOT_SUPPORTED, place, f"`{name}`", self.instead)


@dataclass(frozen=True, slots=True)
class UnsupportedGuard:
    """A field that restricts something and that this mesh cannot do yet: leaving it out would let more in, so
    the whole object is refused.
    """

    instead: str

    def check(self, value: Value, place: Place, run: Run) -> None:
        name = str(place[1]) if place is not None else ""
        if value not in ({}, [], ""):
            run.report(codes.GUARD_NOT_SUPPORTED, place, f"`{name}`", self.instead)


ANYTHING = Anything()


@dataclass(frozen=True, slots=True)
class Object:
    """An object with known fields. `required` maps a field to the words that help to write it; of each group in
    `one_of` at most one may be set; `others` are valid names that mean nothing to the mesh; `rules` run last, and
    say what they can where something below is not well formed; `single` is the field that somebody means who writes a
    bare value.
    """

    fields: Mapping[str, Type]
    required: Mapping[str, str] = field(default_factory=dict[str, str])
    one_of: tuple[tuple[str, ...], ...] = ()
    others: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    single: str = ""

    def check(self, value: Value, place: Place, run: Run) -> None:
        if not isinstance(value, dict):
            run.wrong_type(place, "an object", value, self._object_fix(value, run))
            return
        before = len(run.findings)
        run.around.append((self, place))
        fields = self.fields
        for name, item in value.items():
            known = fields.get(name)
            if known is not None:
                if item is not None:
                    known.check(item, (place, name), run)
            elif name not in self.others:
                run.report(codes.UNKNOWN_FIELD, (place, name), f"`{name}`", self._advice(name, place, run))
        for name, example in self.required.items():
            if value.get(name) is None:
                run.report(codes.MISSING_FIELD, (place, name), f"`{name}`", example)
        for group in self.one_of:
            both = [name for name in group if value.get(name) is not None]
            if len(both) > 1:
                run.report(codes.ONE_OF, (place, both[1]), ", ".join(group))
        run.around.pop()
        if self.rules:
            run.findings.extend(told_by(self.rules, value, (run.ref, place), run.findings[before:]))

    def _object_fix(self, value: Value, run: Run) -> str:
        if isinstance(value, list):
            return "remove the `- `: one object is expected"
        if self.single and not run.secret and isinstance(value, str | int):
            return f"write `{self.single}: {value}` on a line of its own below it"
        return "write its fields on lines of their own below it"

    def _advice(self, name: str, place: Place, run: Run) -> str:
        """What the unknown field was meant to be, or where it belongs."""
        if name.startswith("-"):
            return "write a space after the `-`"
        names = [*self.fields, *self.others]
        meant = suggest(name, names)
        if meant:
            return f"did you mean `{meant}`?"
        below = _holder(self, name)
        if below:
            return f"move `{name}` into `{below}` (indent it below)"
        for outer, outer_place in reversed(run.around[:-1]):
            if name in outer.fields:
                return f"move `{name}` up: it belongs beside `{_step_into(outer_place, place)}` (indent it less)"
        for outer, _ in reversed(run.around[:-1]):
            beside = _holder(outer, name)
            if beside:
                return f"`{name}` belongs into `{beside}`"
        return f"remove it; known here are {', '.join(sorted(self.fields))}"


def _step_into(outer: Place, inner: Place) -> str:
    """The field of the object at `outer` through which the walk came to `inner`."""
    while inner is not None and inner[0] is not outer:
        inner = inner[0]
    return "" if inner is None else str(inner[1])


def _holder(start: Object, name: str, depth: int = 3) -> str | None:
    """The dotted path below `start` of an object that knows the field; the shortest one."""
    level: list[tuple[str, Object]] = [("", start)]
    for _ in range(depth):
        following: list[tuple[str, Object]] = []
        for path, holder in level:
            for child, kind in holder.fields.items():
                inner = kind.item if isinstance(kind, ListOf) else kind
                if isinstance(inner, Object):
                    dotted = f"{path}.{child}" if path else child
                    if name in inner.fields:
                        return dotted
                    following.append((dotted, inner))
        level = following
    return None
