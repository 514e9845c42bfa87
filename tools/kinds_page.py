"""Writes the tables of docs/kinds.md out of the table of kinds; `--check` only says whether they are up to date."""

import sys
from collections.abc import Iterator
from pathlib import Path

from meshwright.kinds.schema import ListOf, MapOf, Object, Type, Unsupported, UnsupportedGuard
from meshwright.kinds.table import KINDS, Kind

PAGE = Path(__file__).parent.parent / "docs" / "kinds.md"
START, END = "<!-- made by tools/kinds_page.py -->", "<!-- end -->"


def rows() -> Iterator[str]:
    yield "| kind | apiVersion (stored first) | plural | short names | scope |"
    yield "|---|---|---|---|---|"
    for kind in KINDS:
        versions = ", ".join(f"`{version}`" for version in kind.api_versions)
        scope = "namespace" if kind.namespaced else "cluster"
        yield f"| {kind.kind} | {versions} | {kind.plural} | {', '.join(kind.short_names) or '-'} | {scope} |"


def unsupported(shape: Type, path: str) -> Iterator[tuple[str, str, str]]:
    """Every field that is known and cannot be used yet: path, what holds instead, what happens to the object."""
    match shape:
        case Unsupported(instead):
            yield path, instead, "left out"
        case UnsupportedGuard(instead):
            yield path, instead, "object refused"
        case Object():
            for name, inner in shape.fields.items():
                yield from unsupported(inner, f"{path}.{name}" if path else name)
        case ListOf():
            yield from unsupported(shape.item, f"{path}[]")
        case MapOf():
            yield from unsupported(shape.value, f"{path}.*")
        case _:
            return


def limits(kind: Kind) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for path, instead, effect in unsupported(kind.schema, ""):
        short = path.replace("spec.subsets[].trafficPolicy", "spec.trafficPolicy")
        short = short.replace(".portLevelSettings[]", "")
        if (short, effect) not in seen:
            seen.add((short, effect))
            yield f"| {kind.kind} | `{short}` | {effect} | {instead} |"


def tables() -> str:
    fields = [row for kind in KINDS for row in limits(kind)]
    head = [
        "",
        "## Fields that are not supported yet",
        "",
        "| kind | field | effect | instead |",
        "|---|---|---|---|",
    ]
    return "\n".join([START, *rows(), *head, *fields, END])


def page(text: str) -> str:
    """The page with its tables renewed."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return before + tables() + after


def main() -> int:
    text = PAGE.read_text()
    if "--check" in sys.argv[1:]:
        return 0 if text == page(text) else 1
    PAGE.write_text(page(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
