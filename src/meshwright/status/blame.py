"""Whose fault a refusal is: Envoy's words, the refused resource, and where its elements come from. Pure.

Envoy seldom says which element of a resource it does not like, but it quotes what it does not like: an expression, a
path, a cipher. So the values of the resource are compared with its words, and the origin of the element that holds
the best match is to blame.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.json_format import Error

from meshwright.envoyapi.pool import class_of_url, to_json_dict
from meshwright.model.origin import Origin
from meshwright.model.published import EncodedResource
from meshwright.status.subjects import SERVICES, key_of
from meshwright.store.names import Key

_SHORTEST = 3  # characters that a quoted value must have to mean anything
_NAMED_LISTS = ("virtual_hosts",)
_TOKEN = re.compile(r"[^\s'\"`,;]+")
_WORD = re.compile(r"[a-z0-9]+")
_MESSAGE_FIELD = re.compile(r"^[a-z][a-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Blame:
    """The objects that may be the reason, each with the field that fits best. One: it is that one."""

    fields: tuple[tuple[Key, str], ...]

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(key for key, _ in self.fields)


def blame(resource: EncodedResource, words: str, unproven: Collection[Key]) -> Blame:
    """Among the objects in the resource: those that Envoy quotes, if they have not been taken before; else all that
    have not been taken before; else those that it quotes.
    """
    origins = resource.origins
    concerned = {key: "" for _, origin in reversed(origins) if (key := key_of(origin.object)) is not None}
    quoted: dict[Key, str] = {}
    for origin in _quoted(resource, words):
        if (key := key_of(origin.object)) is not None:
            quoted.setdefault(key, origin.path)
    suspects = [key for key in concerned if key in unproven]
    rules = [key for key in suspects if key.resource != SERVICES] or suspects  # a service has few ways to be wrong
    chosen = {key: quoted[key] for key in rules if key in quoted} or dict.fromkeys(rules, "") or quoted
    if len(chosen) == 1:
        [(key, path)] = chosen.items()
        return Blame(((key, path or _likeliest(resource, words, key)),))
    return Blame(tuple(sorted(chosen.items())))


def _likeliest(resource: EncodedResource, words: str, culprit: Key) -> str:
    """The field of a known culprit that has most words in common with Envoy's, whatever their case; its only field
    in the resource otherwise.
    """
    said = _words(words)
    fields = {origin.path for _, origin in resource.origins if key_of(origin.object) == culprit} - {""}
    best, found = 0, fields.pop() if len(fields) == 1 else ""
    for path, value in _leaves(_tree(resource), ""):
        score = sum(map(len, said & _words(value)))
        origin = _nearest(resource, path) if score > best else None
        if origin is not None and key_of(origin.object) == culprit:
            best, found = score, origin.path
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def concerned_by(resource: EncodedResource) -> frozenset[Key]:
    """All objects that the resource is made of."""
    found = (key_of(origin.object) for _, origin in resource.origins)
    return frozenset(key for key in found if key is not None)


def _quoted(resource: EncodedResource, words: str) -> list[Origin]:
    """Origins of the elements whose values occur in the words, the best matches only."""
    text = words.replace(str(resource.name), " ")
    tokens = {token.strip("().:[]") for token in _TOKEN.findall(text)} | set(_TOKEN.findall(text))
    tokens = {token for token in tokens if _tells(token)}
    best, found = 0, list[str]()
    for path, value in _leaves(_tree(resource), ""):
        if path == "name" or path.endswith("@type"):
            continue
        score = _score(value, text, tokens)
        if score > best:
            best, found = score, [path]
        elif score and score == best:
            found.append(path)
    return list(dict.fromkeys(origin for path in found if (origin := _nearest(resource, path)) is not None))


def _tree(resource: EncodedResource) -> Any:
    """The resource as JSON; nothing where it has values that JSON cannot say, such as a duration without end."""
    try:
        return to_json_dict(class_of_url(resource.type_url).FromString(resource.value))
    except Error:
        return {}


def _score(value: str, text: str, tokens: set[str]) -> int:
    """How many characters of a value are in the words, or of the words in a value."""
    if len(value) < _SHORTEST:
        return 0
    if value in text:
        return len(value) if _tells(value) else 0
    return max((len(token) for token in tokens if token in value), default=0)


def _tells(text: str) -> bool:
    """Whether a text is no plain word of a sentence: those occur anywhere."""
    return len(text) >= _SHORTEST and (not text.isalpha() or text.isupper())


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a message with its place, written as the compiler writes places."""
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            step = f".{name}" if _MESSAGE_FIELD.match(name) else f"[{name}]"
            yield from _leaves(inner, f"{path}{step}".removeprefix("."))
    elif isinstance(value, list):
        named = path.endswith(_NAMED_LISTS)
        for index, inner in enumerate(cast("list[Any]", value)):
            name = cast("dict[str, Any]", inner).get("name") if named and isinstance(inner, dict) else None
            yield from _leaves(inner, f"{path}[{index if name is None else name}]")
    elif isinstance(value, str):
        yield path, value


def _nearest(resource: EncodedResource, path: str) -> Origin | None:
    """The origin of the smallest element that holds `path`."""
    around = [
        (len(place), origin)
        for place, origin in resource.origins
        if path == place or path.startswith((f"{place}.", f"{place}[")) or not place
    ]
    return max(around, key=lambda found: found[0])[1] if around else None
