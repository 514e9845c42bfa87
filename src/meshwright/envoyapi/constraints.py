"""One ``validate.rules`` option of a proto field becomes checks of its value.

Envoy generates C++ from these options (protoc-gen-validate) and refuses a whole response when one of them is broken.
A check takes a value and gives the broken rule as text (``string.min_len 1``), or None when the value holds.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Check = Callable[[Any], str | None]

HTTP_HEADER_NAME, HTTP_HEADER_VALUE = 1, 2
WELL_KNOWN_REGEX = {
    (HTTP_HEADER_NAME, True): re.compile(r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+"),
    (HTTP_HEADER_VALUE, True): re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*"),
    (HTTP_HEADER_NAME, False): re.compile(r"[^\x00\x0a\x0d]*"),
    (HTTP_HEADER_VALUE, False): re.compile(r"[^\x00\x0a\x0d]*"),
}
HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
LONGEST_HOST = 253
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"\\^`{|}\x7f]*")
RELATIVE_URI = re.compile(r"[^\x00-\x20<>\"\\^`{|}\x7f:/?#]*([/?#][^\x00-\x20<>\"\\^`{|}\x7f]*)?")
DEFAULTS = frozenset({"required", "skip", "ignore_empty", "strict", "items", "keys", "values"})
"""Rule fields that are no check of their own: they change others or are handled where presence is known."""


class UnknownRuleError(Exception):
    """A new Envoy uses a kind of rule that this module does not know; then this module must learn it."""


@dataclass(frozen=True, slots=True)
class Range:
    """The four limits of a number or of nanoseconds; one below the other means "outside", as in Envoy."""

    kind: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    def broken(self, value: float) -> str | None:
        """Which limit `value` breaks. NaN breaks none, as in Envoy."""
        low = (self.gt is not None and value <= self.gt) or (self.gte is not None and value < self.gte)
        high = (self.lt is not None and value >= self.lt) or (self.lte is not None and value > self.lte)
        if (low and high) if self._is_outside() else (low or high):
            limits = (("gt", self.gt), ("gte", self.gte), ("lt", self.lt), ("lte", self.lte))
            stated = " ".join(f"{name} {limit}" for name, limit in limits if limit is not None)
            return f"{self.kind}.{stated}"
        return None

    def _is_outside(self) -> bool:
        lower = self.gt if self.gt is not None else self.gte
        upper = self.lt if self.lt is not None else self.lte
        return lower is not None and upper is not None and upper < lower


def checks_of(rules: Message, field: FieldDescriptor) -> tuple[Check, ...]:
    """The checks that one FieldRules asks of a single value of `field` (not of the list or map around it).

    Raises UnknownRuleError for a rule that cannot be understood.
    """
    kind = rules.WhichOneof("type")
    if kind is None or kind in {"repeated", "map"}:
        return ()
    typed: Message = getattr(rules, kind)
    checks = tuple(_checks(kind, typed, field))
    if checks and "ignore_empty" in typed.DESCRIPTOR.fields_by_name and getattr(typed, "ignore_empty"):  # noqa: B009
        return (_unless_empty(checks),)
    return checks


def _unless_empty(checks: tuple[Check, ...]) -> Check:
    def check(value: Any) -> str | None:
        return next((broken for one in checks if (broken := one(value))), None) if value else None

    return check


def _checks(kind: str, typed: Message, field: FieldDescriptor) -> Iterator[Check]:
    limits: dict[str, float] = {}
    for option, setting in typed.ListFields():
        name = option.name
        if name in DEFAULTS:
            continue
        if name in {"gt", "gte", "lt", "lte"}:
            limits[name] = _comparable(kind, setting)
        elif kind == "any":
            yield _any_check(name, setting)
        elif (made := _common(kind, name, setting)) or (made := _by_kind(kind, name, setting, typed, field)):
            yield made
        else:
            raise UnknownRuleError(f"{field.full_name}: {kind}.{name}")
    if limits:
        yield _range_check(Range(kind, **limits), kind)


def _comparable(kind: str, value: Any) -> Any:
    """Durations and timestamps as nanoseconds; all else as it is."""
    return value.ToNanoseconds() if kind in {"duration", "timestamp"} else value


def _range_check(limits: Range, kind: str) -> Check:
    if kind in {"duration", "timestamp"}:
        return lambda value: limits.broken(value.ToNanoseconds())
    return limits.broken


def _any_check(name: str, setting: Any) -> Check:
    urls = frozenset(setting)
    wanted = name == "in"
    return _named(lambda value: (value.type_url in urls) is wanted, f"any.{name} {sorted(urls)}")


def _common(kind: str, name: str, setting: Any) -> Check | None:
    """Rules that mean the same for every kind of value."""
    match name:
        case "const":
            wanted = _comparable(kind, setting)
            return _named(lambda value: _comparable(kind, value) == wanted, f"{kind}.const {wanted}")
        case "in" | "not_in":
            members = frozenset(_comparable(kind, member) for member in setting)
            inside = name == "in"
            rule = f"{kind}.{name} {sorted(members)}"
            return _named(lambda value: (_comparable(kind, value) in members) is inside, rule)
        case _:
            return None


def _by_kind(kind: str, name: str, setting: Any, typed: Any, field: FieldDescriptor) -> Check | None:
    rule = f"{kind}.{name} {setting}"
    if kind == "enum" and name == "defined_only":
        numbers = frozenset(field.enum_type.values_by_number if field.enum_type is not None else ())
        return _named(lambda value: value in numbers, "enum.defined_only") if setting else None
    if kind not in {"string", "bytes"}:
        return None
    if name == "well_known_regex":
        pattern = WELL_KNOWN_REGEX.get((setting, typed.strict))
        return _named(lambda value: pattern.fullmatch(value) is not None, _regex_name(setting)) if pattern else None
    if name in WELL_KNOWN_FORMS:
        holds = WELL_KNOWN_FORMS[name]
        return _named(holds, f"{kind}.{name}") if setting else None
    return _length_check(name, setting, rule) or _content_check(name, setting, rule)


def _regex_name(setting: int) -> str:
    return f"string.well_known_regex {'HTTP_HEADER_NAME' if setting == HTTP_HEADER_NAME else 'HTTP_HEADER_VALUE'}"


def _length_check(name: str, limit: Any, rule: str) -> Check | None:
    """Lengths in code points for strings (bytes for bytes); the ``_bytes`` ones in bytes of UTF-8."""
    match name:
        case "len":
            return _named(lambda value: len(value) == limit, rule)
        case "min_len":
            return _named(lambda value: len(value) >= limit, rule)
        case "max_len":
            return _named(lambda value: len(value) <= limit, rule)
        case "len_bytes":
            return _named(lambda value: len(value.encode()) == limit, rule)
        case "min_bytes":
            return _named(lambda value: len(value.encode()) >= limit, rule)
        case "max_bytes":
            return _named(lambda value: len(value.encode()) <= limit, rule)
        case _:
            return None


def _content_check(name: str, setting: Any, rule: str) -> Check | None:
    match name:
        case "pattern":
            pattern = re.compile(setting if isinstance(setting, str) else setting.decode())
            return _named(lambda value: pattern.fullmatch(_text(value)) is not None, rule)
        case "prefix":
            return _named(lambda value: value.startswith(setting), rule)
        case "suffix":
            return _named(lambda value: value.endswith(setting), rule)
        case "contains":
            return _named(lambda value: setting in value, rule)
        case "not_contains":
            return _named(lambda value: setting not in value, rule)
        case _:
            return None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _named(holds: Callable[[Any], bool], rule: str) -> Check:
    return lambda value: None if holds(value) else rule


def _is_ip(value: str | bytes, version: int | None = None) -> bool:
    try:
        return version in (None, ipaddress.ip_address(value).version)
    except ValueError:
        return False


def _is_hostname(value: str) -> bool:
    bare = value.removesuffix(".")
    return 0 < len(bare) <= LONGEST_HOST and all(HOST_LABEL.fullmatch(label) for label in bare.split("."))


def _is_uri(value: str) -> bool:
    return URI.fullmatch(value) is not None


def _is_uri_reference(value: str) -> bool:
    return RELATIVE_URI.fullmatch(value) is not None or _is_uri(value)


def _is_uuid(value: str) -> bool:
    return UUID.fullmatch(value) is not None


def _is_email(value: str) -> bool:
    local, at, domain = value.rpartition("@")
    return bool(at) and 0 < len(local) <= 64 and " " not in local and _is_hostname(domain)  # noqa: PLR2004 - RFC 5321


WELL_KNOWN_FORMS: dict[str, Callable[[Any], bool]] = {
    "ip": _is_ip,
    "ipv4": lambda value: _is_ip(value, 4),
    "ipv6": lambda value: _is_ip(value, 6),
    "hostname": _is_hostname,
    "address": lambda value: _is_ip(value) or _is_hostname(value),
    "email": _is_email,
    "uri": _is_uri,
    "uri_ref": _is_uri_reference,
    "uuid": _is_uuid,
}


def list_checks(rules: Message) -> tuple[Check, ...]:
    """The checks that one FieldRules asks of a whole list or map."""
    kind = rules.WhichOneof("type")
    if kind not in {"repeated", "map"}:
        return ()
    typed: Any = getattr(rules, kind)
    smallest = typed.min_items if kind == "repeated" else typed.min_pairs
    largest = typed.max_items if kind == "repeated" else typed.max_pairs
    unit = "items" if kind == "repeated" else "pairs"
    checks: list[Check] = []
    if smallest:
        checks.append(_named(lambda value: len(value) >= smallest, f"{kind}.min_{unit} {smallest}"))
    if typed.HasField(f"max_{unit}"):
        checks.append(_named(lambda value: len(value) <= largest, f"{kind}.max_{unit} {largest}"))
    if kind == "repeated" and typed.unique:
        checks.append(_named(_is_unique, "repeated.unique"))
    if checks and typed.ignore_empty:
        return (_unless_empty(tuple(checks)),)
    return tuple(checks)


def _is_unique(values: Any) -> bool:
    keys = [value.SerializeToString(deterministic=True) if isinstance(value, Message) else value for value in values]
    return len(set(keys)) == len(keys)


def is_required(rules: Message) -> bool:
    """Whether the field must be present, by whichever of the four ways to say so."""
    typed: Any = rules
    if typed.message.required:
        return True
    kind = rules.WhichOneof("type")
    return kind in {"any", "duration", "timestamp"} and bool(getattr(rules, kind).required)
