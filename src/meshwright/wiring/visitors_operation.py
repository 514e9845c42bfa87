"""The operation `visitors`: whether the demo's visitors come, and the switch."""

from collections.abc import Awaitable, Callable
from typing import Any

from meshwright.processes.messages import BadRequest, Fields
from meshwright.store.names import Author, Key, Resource
from meshwright.store.store import Store
from meshwright.store.writes import Update
from meshwright.wiring.sentences import CHANGES, REFUSALS

DEPLOYMENT = Key(Resource("apps", "deployments"), "visitors", "visitors")


def visitors_operation(store: Store) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """`wanted` is on, off, or "" to ask only; `on` None: this mesh has no visitors."""

    async def answer(fields: Fields) -> dict[str, Any]:
        wanted = fields.text("wanted", "")
        found = await store.find(DEPLOYMENT)
        if found is None:
            if wanted:
                said = REFUSALS.say("no-visitors")
                raise BadRequest(str(said), "refused", said.as_json())
            return {"on": None}
        value = found.value()
        if wanted:
            value = {**value, "spec": {**value["spec"], "replicas": 1 if wanted == "on" else 0}}
            author = Author(fields.text("author", "meshwright"))
            message = str(CHANGES.say("change-visitors-on" if wanted == "on" else "change-visitors-off"))
            await store.transact([Update(DEPLOYMENT, value, found.revision)], author, message)
        return {"on": bool(value["spec"].get("replicas", 1))}

    return answer
