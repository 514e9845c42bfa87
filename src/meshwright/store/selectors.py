"""The texts of label and field selectors become conditions on versions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import cast

from meshwright.store.errors import InvalidError
from meshwright.store.version import Version

# one requirement of a label selector: `!key`, `key`, `key = value`, `key in (a, b)`
_REQUIREMENT = re.compile(
    r"\s*(?P<not>!)?\s*(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)\s*"
    r"(?:(?P<operator>==|=|!=)\s*(?P<value>[A-Za-z0-9._-]*)|(?P<set>\bin|\bnotin)\s*\((?P<values>[^()]*)\))?\s*(?:,|$)"
)
_VALUE = re.compile(r"[A-Za-z0-9._-]*\Z")
_FIELD = re.compile(r"\s*(?P<path>[A-Za-z0-9_.]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^,=!]*?)\s*\Z")


class Test(Enum):
    """What a label must be."""

    IN = "in"
    NOT_IN = "not in"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One condition on one label; NOT_IN also holds where the label is absent."""

    label: str
    test: Test
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        match self.test:
            case Test.IN:
                return labels.get(self.label) in self.values
            case Test.NOT_IN:
                return labels.get(self.label) not in self.values
            case Test.EXISTS:
                return self.label in labels
            case Test.ABSENT:
                return self.label not in labels


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """A field by its path equals a text, or does not; an absent field is the empty text."""

    path: str
    value: str
    equal: bool = True

    def holds(self, version: Version) -> bool:
        return (_field(version, self.path) == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class Selector:
    """All of these must hold; an empty one selects everything."""

    labels: tuple[LabelRequirement, ...] = ()
    fields: tuple[FieldRequirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def selects(self, version: Version) -> bool:
        labels = version.body.labels
        return all(item.holds(labels) for item in self.labels) and all(item.holds(version) for item in self.fields)

    @property
    def name(self) -> str | None:
        """The only name it can select, where that is known."""
        names = (item.value for item in self.fields if item.path == "metadata.name" and item.equal)
        return next(names, None)


def parse_selector(labels: str = "", fields: str = "") -> Selector:
    """Kubernetes' `labelSelector` and `fieldSelector`. Raises InvalidError."""
    return Selector(tuple(_label_requirements(labels)), tuple(_field_requirements(fields)))


def _label_requirements(text: str) -> list[LabelRequirement]:
    found: list[LabelRequirement] = []
    position = 0
    while position < len(text) and text.strip():
        match = _REQUIREMENT.match(text, position)
        if match is None or (match["not"] and (match["operator"] or match["set"])):
            raise InvalidError(f"label selector {text!r}: not understood at {text[position:]!r}")
        found.append(_label_requirement(match, text))
        position = match.end()
    if text.rstrip().endswith(","):
        raise InvalidError(f"label selector {text!r} ends with a comma")
    return found


def _label_requirement(match: re.Match[str], text: str) -> LabelRequirement:
    label = match["key"]
    if match["set"]:
        values = frozenset(value.strip() for value in match["values"].split(","))
        if not all(_VALUE.match(value) for value in values):
            raise InvalidError(f"label selector {text!r}: not understood at {match['values']!r}")
        return LabelRequirement(label, Test.IN if match["set"] == "in" else Test.NOT_IN, values)
    if match["operator"]:
        test = Test.NOT_IN if match["operator"] == "!=" else Test.IN
        return LabelRequirement(label, test, frozenset({match["value"]}))
    return LabelRequirement(label, Test.ABSENT if match["not"] else Test.EXISTS)


def _field_requirements(text: str) -> list[FieldRequirement]:
    found: list[FieldRequirement] = []
    for part in text.split(",") if text.strip() else ():
        match = _FIELD.match(part)
        if match is None:
            raise InvalidError(f"field selector {text!r}: not understood at {part!r}")
        found.append(FieldRequirement(match["path"], match["value"], match["operator"] != "!="))
    return found


def _field(version: Version, path: str) -> str:
    if path == "metadata.name":
        return version.key.name
    if path == "metadata.namespace":
        return version.key.namespace
    value: object = version.value()
    for step in path.split("."):
        value = cast("dict[str, object]", value).get(step) if isinstance(value, dict) else None
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
