"""The operation `explain` of a running mesh's socket."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.model.origin import ObjectRef, Origin
from meshwright.processes.messages import BadRequest, Fields
from meshwright.wiring.explaining import Question, QuestionError, explain
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.logged_requests import question_of
from meshwright.wiring.receipts import Receipts

FindLines = Callable[[frozenset[ObjectRef]], Awaitable[Mapping[ObjectRef, Lines]]]


def explain_operation(
    mesh: LiveMesh, receipts: Receipts, find_lines: FindLines
) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """Where a request would go, by what is published now; `change` is the newest change in it. `find_lines` knows the
    lines of objects that are as a file had them. With `record`, one of the last requests, it tells what is asked.
    """

    async def answer(fields: Fields) -> dict[str, Any]:
        try:
            explainable = mesh.explainable()
            if record := fields.object("record").values:
                asked = question_of(explainable.snapshot, record)
            else:
                asked = _question(fields)
            found = explain(explainable, asked)
        except QuestionError as error:
            said = None if error.said is None else error.said.as_json()
            raise BadRequest(str(error), "usage", said) from None
        await _add_lines([step["origin"] for step in found["steps"] if step["origin"] is not None], find_lines)
        return {**found, "change": receipts.change_of(mesh.published.value.change)}

    return answer


def _question(fields: Fields) -> Question:
    return Question(
        fields.text("caller"),
        fields.text("url"),
        fields.text("method", "GET"),
        tuple(_header(each) for each in fields.texts("headers")),
        fields.text("namespace", "default"),
    )


async def _add_lines(origins: list[dict[str, Any]], find_lines: FindLines) -> None:
    """Put file and line to the origins where they are known."""
    lines = await find_lines(frozenset(_object(each) for each in origins))
    for each in origins:
        known = lines.get(_object(each))
        place = None if known is None else known.find(Origin(_object(each), each["path"]))
        if place is not None:
            each.update(file=place.file, line=place.line)


def _object(origin: Mapping[str, Any]) -> ObjectRef:
    return ObjectRef(origin["kind"], origin["namespace"], origin["name"])


def _header(written: str) -> tuple[str, str]:
    name, _, value = written.partition(":")
    return name.strip().lower(), value.strip()
