"""JSON values as controllers need them: fields by path, references to owners, selectors, times and hashes."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from meshwright.store.names import EpochMilliseconds, Json
from meshwright.store.sources import timestamp

__all__ = ["dig", "labels_of", "list_of", "map_of", "moment", "selects", "text_hash", "timestamp"]
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_encode = msgspec.json.Encoder(order="sorted").encode
Labels = Mapping[str, str]


def map_of(value: object) -> Json:
    """The value if it is a map, else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def dig(value: object, *path: str) -> Any:
    """What is at a path of fields; None where something is missing."""
    for name in path:
        value = map_of(value).get(name)
    return value


def number(value: object, default: int) -> int:
    """A whole number, or the default where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def labels_of(value: object) -> Labels:
    """The labels of an object or of a template."""
    return map_of(dig(value, "metadata", "labels"))


def annotations_of(value: object) -> Labels:
    """The annotations of an object or of a template."""
    return map_of(dig(value, "metadata", "annotations"))


def plain(value: Any) -> Any:
    """The same without null members and with no shared parts: null stands for an absent field."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in cast("Json", value).items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def same(one: Any, other: Any) -> bool:
    """Equal as JSON (where `true` is not 1), absent fields and null being the same."""
    return _encode(plain(one)) == _encode(plain(other))


def share(value: object, whole: int, *, up: bool) -> int:
    """A number, or a percentage of `whole` rounded up or down; 0 for anything else."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        part = whole * int(value[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return number(value, int(value) if isinstance(value, str) and value.isdigit() else 0)


def selects(selector: object, labels: Labels) -> bool:
    """Whether a `matchLabels`/`matchExpressions` selector holds. An empty one selects nothing here."""
    pairs, expressions = map_of(dig(selector, "matchLabels")), list_of(dig(selector, "matchExpressions"))
    if not pairs and not expressions:
        return False
    return matches(pairs, labels) and all(_holds(map_of(item), labels) for item in expressions)


def matches(pairs: Mapping[str, Any], labels: Labels) -> bool:
    """Whether all pairs are among the labels."""
    return all(labels.get(name) == value for name, value in pairs.items())


def _holds(expression: Json, labels: Labels) -> bool:
    label = str(expression.get("key"))
    match expression.get("operator"):
        case "In":
            return labels.get(label) in list_of(expression.get("values"))
        case "NotIn":
            return labels.get(label) not in list_of(expression.get("values"))
        case "Exists":
            return label in labels
        case "DoesNotExist":
            return label not in labels
        case _:
            return False


def text_hash(value: Any, size: int = 10) -> str:
    """A short name for a value: equal values have equal ones. Letters without vowels, and digits."""
    rest = int.from_bytes(hashlib.blake2b(_encode(plain(value)), digest_size=16).digest())
    letters: list[str] = []
    for _ in range(size):
        rest, index = divmod(rest, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


def moment(text: object) -> EpochMilliseconds:
    """A time as Kubernetes writes it, as milliseconds; 0 where it is none."""
    if not isinstance(text, str):
        return EpochMilliseconds(0)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return EpochMilliseconds(0)
    known = read if read.tzinfo else read.replace(tzinfo=UTC)
    return EpochMilliseconds(int(known.timestamp() * 1000))


def condition(value: object, kind: str) -> Json:
    """A condition of an object's status by its type; empty where it is not there."""
    found = (item for item in list_of(dig(value, "status", "conditions")) if dig(item, "type") == kind)
    return map_of(next(found, None))


def compact(fields: Mapping[str, Any], always: Sequence[str] = ()) -> Json:
    """Without members that are empty, zero or false, as Kubernetes writes statuses."""
    return {name: value for name, value in fields.items() if value or name in always}


def first(values: Iterable[Any]) -> Any:
    """The first one, None where there is none."""
    return next(iter(values), None)
