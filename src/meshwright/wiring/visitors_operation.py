"""The operation `visitors`: whether the demo's visitors come, and the switch."""

from collections.abc import Awaitable, Callable
from typing import Any

from meshwright.processes.messages import BadRequest, Fields
from meshwright.store.names import Author, Key, Resource
from meshwright.store.store import Store
from meshwright.store.writes import Update

DEPLOYMENT = Key(Resource("apps", "deployments"), "visitors", "visitors")


def visitors_operation(store: Store) -> Callable[[Fields], Awaitable[dict[str, Any]]]:
    """`wanted` is on, off, or "" to ask only; `on` None: this mesh has no visitors."""

    async def answer(fields: Fields) -> dict[str, Any]:
        wanted = fields.text("wanted", "")
        found = await store.find(DEPLOYMENT)
        if found is None:
            if wanted:
                raise BadRequest("this mesh has no visitors: they come with the demo profile", "refused")
            return {"on": None}
        value = found.value()
        if wanted:
            value = {**value, "spec": {**value["spec"], "replicas": 1 if wanted == "on" else 0}}
            author = Author(fields.text("author", "meshwright"))
            await store.transact([Update(DEPLOYMENT, value, found.revision)], author, f"visitors {wanted}")
        return {"on": bool(value["spec"].get("replicas", 1))}

    return answer
