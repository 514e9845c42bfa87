"""Where the checker is in a document: a linked path that becomes an Origin only when something is wrong there."""

from meshwright.model.origin import ObjectRef, Origin

Place = tuple["Place", str | int] | None


def origin_of(ref: ObjectRef, place: Place) -> Origin:
    """The place as an Origin."""
    parts: list[str | int] = []
    while place is not None:
        place, part = place
        parts.append(part)
    path = ""
    for part in reversed(parts):
        if isinstance(part, int):
            path = f"{path}[{part}]"
        elif part.isidentifier() and path:
            path = f"{path}.{part}"
        else:
            path = Origin(ref, path).field(part).path
    return Origin(ref, path)
