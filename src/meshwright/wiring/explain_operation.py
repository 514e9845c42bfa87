"""The operation `explain` of a running mesh's socket."""

from collections.abc import Awaitable, Callable
from typing import Any

from meshwright.processes.messages import BadRequest, Fields
from meshwright.wiring.explaining import Question, QuestionError, explain
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.receipts import Receipts


def explain_operation(mesh: LiveMesh, receipts: Receipts) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """Where a request would go, by what is published now; `change` is the newest change in it."""

    async def answer(fields: Fields) -> dict[str, Any]:
        asked = Question(
            fields.text("caller"),
            fields.text("url"),
            fields.text("method", "GET"),
            tuple(_header(each) for each in fields.texts("headers")),
            fields.text("namespace", "default"),
        )
        try:
            found = explain(mesh.explainable(), asked)
        except QuestionError as error:
            raise BadRequest(str(error), "usage") from None
        return {**found, "change": receipts.change_of(mesh.published.value.change)}

    return answer


def _header(written: str) -> tuple[str, str]:
    name, _, value = written.partition(":")
    return name.strip().lower(), value.strip()
