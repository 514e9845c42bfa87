"""What the command line's `get` is answered with: objects of one or more kinds, by name or by their labels."""

from collections.abc import Awaitable, Callable, Iterator
from difflib import get_close_matches
from typing import Any

from meshwright.apiserver.resources import ApiResource, standard_catalogue
from meshwright.processes.messages import BadRequest, Fields
from meshwright.store.errors import InvalidError
from meshwright.store.names import Key
from meshwright.store.query import Query, Scope
from meshwright.store.redact import redact
from meshwright.store.selectors import Selector, parse_selector
from meshwright.store.store import Store
from meshwright.store.version import Version

_ROWS = standard_catalogue().rows


def get_operation(store: Store) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """The operation `get`: `kind` (several with commas, or a category), and `names` or `labels`."""

    async def answer(fields: Fields) -> dict[str, Any]:
        everywhere = fields.flag("all_namespaces", default=False)
        space = fields.text("namespace", "default")
        names, selector = fields.texts("names"), _selector(fields.text("labels", ""))
        found: list[Version] = []
        for row in _rows(fields.text("kind")):
            place = space if row.namespaced else ""
            if names:
                found += [await store.get(Key(row.resource, place, name)) for name in names]
            else:
                scope = Scope(row.resource, None if everywhere or not row.namespaced else place, selector)
                found += (await store.list(Query(scope))).items
        return {"items": [redact(version.key, version.value()) for version in found]}

    return answer


def _selector(labels: str) -> Selector:
    try:
        return parse_selector(labels)
    except InvalidError as error:
        raise BadRequest(str(error), "usage") from None


def _rows(words: str) -> list[ApiResource]:
    """Every kind that is named, once, in this order. Raises BadRequest."""
    found = {row.resource: row for word in words.lower().split(",") if word for row in _named(word)}
    return list(found.values())


def _named(word: str) -> list[ApiResource]:
    of_category = [row for row in _ROWS if word in row.categories]
    if of_category:
        return of_category
    found = next((row for row in _ROWS if word in _names(row)), None)
    if found is not None:
        return [found]
    near = get_close_matches(word, [name for row in _ROWS for name in _names(row)], 1)
    hint = f": did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(row.plural for row in _ROWS))}"
    raise BadRequest(f"there is no kind {word}{hint}", "usage")


def _names(row: ApiResource) -> Iterator[str]:
    yield from (row.plural, row.singular, *row.short_names)
    if row.group:
        yield f"{row.plural}.{row.group}"
