"""For the command line: what one proxy should run, as the control plane knows it, and which objects it comes from."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from meshwright.documents.lines import Lines
from meshwright.model.names import ProxyName, ResourceName, TypeUrl
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.published import EncodedResource, Published
from meshwright.processes.messages import BadRequest
from meshwright.processes.server import Answer
from meshwright.processes.spool import spool

FindLines = Callable[[frozenset[ObjectRef]], Awaitable[Mapping[ObjectRef, Lines]]]


async def origins_answer(published: Published, proxy: str, lines: FindLines) -> Answer:
    """`role`, and by type and name of each resource its `version` and `origins`: the place inside the resource ("" is
    all of it), object, field path, and the file and line where they are known.
    """
    name = ProxyName(proxy)
    resources = published.resources_of(name)
    if resources is None:
        raise BadRequest(f"the control plane knows no proxy {proxy}", "not-found")
    items = [item for named in resources.values() for item in named.values()]
    known = await lines(frozenset(origin.object for item in items for _, origin in item.origins))
    told: dict[TypeUrl, dict[ResourceName, Any]] = {
        url: {each: _resource(item, known) for each, item in named.items()} for url, named in resources.items()
    }
    answer = {"role": published.proxies[name].role.value, "resources": told}
    return {"descriptors": 1}, [spool(json.dumps(answer).encode())]


def _resource(item: EncodedResource, known: Mapping[ObjectRef, Lines]) -> dict[str, Any]:
    return {
        "version": item.version,
        "origins": [{"place": place, **origin_json(origin, known)} for place, origin in item.origins],
    }


def origin_json(origin: Origin, known: Mapping[ObjectRef, Lines]) -> dict[str, Any]:
    """An origin for programs; `file` and `line` are null where no document is known."""
    lines = known.get(origin.object)
    place = None if lines is None else lines.find(origin)
    return {
        "kind": origin.object.kind,
        "namespace": origin.object.namespace,
        "name": origin.object.name,
        "path": origin.path,
        "file": None if place is None else place.file,
        "line": None if place is None else place.line,
    }
