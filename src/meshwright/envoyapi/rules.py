"""A message of Envoy becomes the list of field rules it breaks, before Envoy sees it.

Envoy applies nothing of a response of which one resource breaks a rule of the proto files (``validate.rules``), and
its refusal names no object of ours. So every new resource is judged here first. The rules are compiled once per
message type into a plan; what cannot hold a rule (nor an Any, behind which there may be one) is never visited.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from meshwright.envoyapi import pool
from meshwright.envoyapi.constraints import Check, checks_of, is_required, list_checks

ANY = "google.protobuf.Any"
WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
SHOWN = 80
"""How many characters of a bad value are shown."""
HIDDEN = "(sensitive)"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where (proto field names, indexes and keys), which rule, and the value, cut short."""

    path: str
    rule: str
    value: str

    def __str__(self) -> str:
        return f"{self.path}: {self.value} breaks {self.rule}"

    def under(self, parent: str, *, sensitive: bool = False) -> "Violation":
        """The same seen from the message that holds this one as `parent`."""
        joint = "" if self.path.startswith("[") or not self.path else "."
        return Violation(f"{parent}{joint}{self.path}", self.rule, HIDDEN if sensitive else self.value)


Found = tuple[Violation, ...]
Visit = Callable[[Any], Found]
NOTHING: Found = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with one message type: by field number the visit of the field, its name, and whether its value must
    not be shown; complaints about absent fields; needed oneofs.
    """

    visits: dict[int, tuple[Visit, str, bool]]
    absent: tuple[tuple[int, Violation], ...]
    oneofs: tuple[str, ...]


def violations(message: Message) -> Found:
    """Every rule that `message` or anything in it breaks, Anys unpacked; empty when Envoy's rules hold.

    An Any whose type this Envoy does not have, or whose bytes are not of that type, is a violation too.
    """
    descriptor = message.DESCRIPTOR
    if descriptor.full_name == ANY:
        return _visit_any(message)
    return _visit(message, _plan(descriptor))


def _visit(message: Message, plan: _Plan) -> Found:
    found: list[Violation] = []
    fields = message.ListFields()
    visits = plan.visits
    for field, value in fields:
        known = visits.get(field.number)
        if known is not None and (broken := known[0](value)):
            found += [one.under(known[1], sensitive=known[2]) for one in broken]
    if plan.absent:
        present = {field.number for field, _ in fields}
        found += [complaint for number, complaint in plan.absent if number not in present]
    for name in plan.oneofs:
        if message.WhichOneof(name) is None:
            found.append(Violation(name, "oneof.required", "(unset)"))
    return tuple(found)


# ---------------------------------------------------------------- plans


@cache
def _plan(descriptor: Descriptor) -> _Plan:
    visits: dict[int, tuple[Visit, str, bool]] = {}
    absent: list[tuple[int, Violation]] = []
    for field in descriptor.fields:
        rules = field_rules(field)
        visit = _field_visit(field, rules)
        if visit is not None:
            visits[field.number] = visit, field.name, _is_sensitive(field)
        if rules is not None:
            absent += [(field.number, complaint) for complaint in _when_absent(field, rules, visit)]
    return _Plan(visits, tuple(absent), tuple(_required_oneofs(descriptor)))


def field_rules(field: FieldDescriptor) -> Any | None:
    """The ``validate.rules`` option of a field (a validate.FieldRules), None when it has none."""
    return _option(field, "google.protobuf.FieldOptions", "validate.rules")


def _option(described: Any, options_type: str, extension: str) -> Any | None:
    """An option as the private pool reads it; protobuf's own reading knows neither extension."""
    if not described.has_options:
        return None
    options: Any = pool.message_class(options_type).FromString(described.GetOptions().SerializeToString())
    key = pool.pool().FindExtensionByName(extension)
    return options.Extensions[key] if options.HasExtension(key) else None


def _is_sensitive(field: FieldDescriptor) -> bool:
    return bool(_option(field, "google.protobuf.FieldOptions", "udpa.annotations.sensitive"))


def _required_oneofs(descriptor: Descriptor) -> Iterator[str]:
    for oneof in descriptor.oneofs:
        if _option(oneof, "google.protobuf.OneofOptions", "validate.required"):
            yield oneof.name


def _when_absent(field: FieldDescriptor, rules: Any, visit: Visit | None) -> Found:
    """What is to say when the field is unset: it is required, or its default value already breaks a rule.

    In a oneof "required" means "when this one is chosen", and then it is set.
    """
    if field.containing_oneof is not None:
        return NOTHING
    if field.has_presence:
        return (Violation(field.name, "required", "(unset)"),) if is_required(rules) else NOTHING
    if visit is None:
        return NOTHING
    default: Any = () if field.is_repeated else field.default_value
    broken = visit({} if _is_map(field) else default)
    return tuple(one.under(field.name, sensitive=_is_sensitive(field)) for one in broken)


def _field_visit(field: FieldDescriptor, rules: Any | None) -> Visit | None:
    """The visit of one field's value, whatever its shape; None when nothing in it can break a rule."""
    if _is_map(field):
        visit = _map_visit(field, rules)
    elif field.is_repeated:
        items = rules.repeated.items if rules is not None and rules.HasField("repeated") else None
        visit = _list_visit(list_checks(rules) if rules is not None else (), _value_visit(field, items))
    else:
        visit = _value_visit(field, rules)
    return visit


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _value_visit(field: FieldDescriptor, rules: Any | None) -> Visit | None:
    """The visit of one value: of a singular field, of a list's item, of a map's key or value."""
    checks = checks_of(rules, field) if rules is not None else ()
    type_ = field.message_type
    if type_ is None:
        return _checked(checks) if checks else None
    if type_.full_name in WRAPPERS:
        return _checked(checks, lambda wrapper: wrapper.value) if checks else None
    skipped = rules is not None and rules.message.skip
    inner = None if skipped or not _can_break(type_) else _inner_visit(type_)
    if not checks:
        return inner
    outer = _checked(checks)
    return outer if inner is None else (lambda value: outer(value) + inner(value))


def _inner_visit(type_: Descriptor) -> Visit:
    """The visit of a submessage. Its plan is looked up when used: message types contain themselves."""
    if type_.full_name == ANY:
        return _visit_any
    known: list[_Plan] = []

    def visit(value: Any) -> Found:
        if not known:
            known.append(_plan(type_))
        return _visit(value, known[0])

    return visit


def _checked(checks: tuple[Check, ...], unwrap: Callable[[Any], Any] | None = None) -> Visit:
    def visit(value: Any) -> Found:
        value = unwrap(value) if unwrap is not None else value
        for check in checks:
            rule = check(value)
            if rule is not None:
                return (Violation("", rule, _shown(value)),)
        return NOTHING

    return visit


def _list_visit(checks: tuple[Check, ...], item: Visit | None) -> Visit | None:
    if not checks and item is None:
        return None
    whole = _checked(checks)

    def visit(values: Iterable[Any]) -> Found:
        found = whole(values)
        if item is not None:
            for index, value in enumerate(values):
                if broken := item(value):
                    found += tuple(one.under(f"[{index}]") for one in broken)
        return found

    return visit


def _map_visit(field: FieldDescriptor, rules: Any | None) -> Visit | None:
    entry = cast("Descriptor", field.message_type).fields_by_name
    of_map = rules.map if rules is not None and rules.HasField("map") else None
    key_visit = _value_visit(entry["key"], of_map.keys if of_map is not None else None)
    value_visit = _value_visit(entry["value"], getattr(of_map, "values") if of_map is not None else None)  # noqa: B009
    checks = list_checks(rules) if rules is not None else ()
    if not checks and key_visit is None and value_visit is None:
        return None
    whole = _checked(checks)

    def visit(pairs: Any) -> Found:
        found = whole(pairs)
        for key in sorted(pairs):
            broken = (key_visit(key) if key_visit else NOTHING) + (
                value_visit(pairs[key]) if value_visit else NOTHING
            )
            found += tuple(one.under(f'["{key}"]') for one in broken)
        return found

    return visit


def _shown(value: Any) -> str:
    if isinstance(value, str | bytes):
        text = repr(value)
    elif isinstance(value, Message):
        text = (
            str(pool.to_json_dict(value))
            if value.DESCRIPTOR.full_name != "google.protobuf.Duration"
            else _seconds(value)
        )
    else:
        text = f"{len(value)} entries" if hasattr(value, "__len__") else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _seconds(duration: Any) -> str:
    return f"{duration.ToNanoseconds() / 1e9:g}s"


# ---------------------------------------------------------------- reach


@cache
def _can_break(descriptor: Descriptor) -> bool:
    """Whether a message of this type can break a rule at all: it, or a type it can hold, has one or is an Any."""
    seen = {descriptor.full_name}
    waiting = [descriptor]
    while waiting:
        current = waiting.pop()
        if current.full_name == ANY or _has_rules(current):
            return True
        for field in current.fields:
            held = field.message_type
            if held is not None and held.full_name not in seen:
                seen.add(held.full_name)
                waiting.append(held)
    return False


@cache
def _has_rules(descriptor: Descriptor) -> bool:
    if any(field_rules(field) is not None for field in descriptor.fields):
        return True
    return any(True for _ in _required_oneofs(descriptor))


# ---------------------------------------------------------------- Any


def _visit_any(packed: Any) -> Found:
    """What is inside an Any. One that is wholly empty counts as unset, as in Envoy."""
    if not packed.type_url:
        return (Violation("value", "any.type_url", "(unset)"),) if packed.value else NOTHING
    return _visit_packed(packed.type_url, packed.value)


@lru_cache(maxsize=4096)
def _visit_packed(type_url: str, value: bytes) -> Found:
    """By content: the same filter and the same TLS settings stand in most listeners and clusters."""
    try:
        message = pool.class_of_url(type_url).FromString(value)
    except pool.UnknownTypeError:
        return (Violation("type_url", "any.known_type", repr(type_url)),)
    except DecodeError:
        return (Violation("value", f"any.decodes as {type_url.rpartition('/')[2]}", f"{len(value)} bytes"),)
    return violations(message)
