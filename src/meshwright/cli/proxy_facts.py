"""How far proxies are, out of what their machine and the control plane say of them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from meshwright.agent import control_client
from meshwright.cli.control import proxies_as_compiled
from meshwright.cli.failure import UnreachableFailure
from meshwright.cli.pods import no_agent
from meshwright.model.names import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.wiring.local_mesh import LocalMesh

Json = dict[str, Any]
SHORT: Mapping[str, str] = {
    CLUSTER: "CDS",
    LISTENER: "LDS",
    ENDPOINTS: "EDS",
    ROUTES: "RDS",
    SECRET: "SDS",
    EXTENSION: "ECDS",
}
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class TypeState:
    """One type of one proxy: how much of what it should run it has acknowledged.

    `state` is SYNCED, STALE (something is on its way or held back), REFUSED (the proxy took something else than what
    it should) or NOT SENT (there is nothing of this type, or nobody asked).
    """

    type: str
    state: str
    acknowledged: int
    sent: int

    def __str__(self) -> str:
        return self.state if self.state == "NOT SENT" else f"{self.state} {self.acknowledged}/{self.sent}"


def all_facts(mesh: LocalMesh) -> list[Json]:
    """Every proxy, by name. Raises UnreachableFailure when the machine's agent does not answer."""
    try:
        told = asyncio.run(_ask(mesh))
    except (RemoteError, Disconnected, OSError):
        raise UnreachableFailure(no_agent(mesh)) from None
    known = proxies_as_compiled(mesh)
    return [joined(each, known) for each in told if each["role"] or each["connected"]]


def facts_of(mesh: LocalMesh, pod: str) -> Json:
    """One proxy, with the content of what it should run. Raises UnreachableFailure."""
    try:
        told = asyncio.run(control_client.proxy(mesh.data.root, pod, content=True))
    except (RemoteError, Disconnected, OSError):
        raise UnreachableFailure(no_agent(mesh)) from None
    return joined(told, proxies_as_compiled(mesh))


async def _ask(mesh: LocalMesh) -> list[Json]:
    names = [str(pod["name"]) for pod in await control_client.pods(mesh.data.root)]
    return [await control_client.proxy(mesh.data.root, name) for name in sorted(names)]


def joined(told: Json, known: Mapping[str, Json] | None) -> Json:
    """What a machine says, with the control plane's view: whether something newer is there, and which change runs.

    `synced` is null when the machine has nothing newer but the control plane, which may have, is away.
    """
    plane = None if known is None else known.get(str(told["name"]))
    synced: bool | None = bool(told["synced"])
    if synced and known is None:
        synced = None
    elif synced and plane is not None:
        synced = bool(plane["synced"])
    return {
        **told,
        "synced": synced,
        "synced_at_machine": told["synced"],
        "change": None if plane is None else plane["change"],
        "types": {state.type: _as_json(state) for state in type_states(told)},
    }


def type_states(told: Json) -> list[TypeState]:
    """The state of each type, ECDS only where there is any."""
    found: list[TypeState] = []
    for url, short in SHORT.items():
        published = cast("Mapping[str, str]", told["published"].get(url, {}))
        held = cast("Mapping[str, str] | None", told["acknowledged"].get(url))
        refused = cast("Mapping[str, str]", told["refused"].get(url, {}))
        if url != EXTENSION or published:
            found.append(_type_state(short, published, held, refused))
    return found


def _type_state(
    short: str, published: Mapping[str, str], held: Mapping[str, str] | None, refused: Mapping[str, str]
) -> TypeState:
    count = sum((held or {}).get(name) == version for name, version in published.items())
    if refused:
        state = "REFUSED"
    elif not published and not held:
        state = "NOT SENT"
    else:
        state = "SYNCED" if held is not None and count == len(published) else "STALE"
    return TypeState(short, state, count, len(published))


def _as_json(state: TypeState) -> Json:
    return {"state": state.state, "acknowledged": state.acknowledged, "sent": state.sent}


def refusals_of(facts: Json) -> list[str]:
    """What this proxy refuses now, each with what Envoy said, as sentences."""
    words = {
        (each["type"], each["resource"]): " ".join(str(each["message"]).split())
        for each in cast("Sequence[Json]", facts["complaints"])
    }
    return [
        f"{facts['name']} refuses {SHORT.get(url, url)} {name}: {words.get((url, name), words.get((url, None), ''))}"
        for url, names in facts["refused"].items()
        for name in names
    ]


def since(moment: int | None, now: float | None = None) -> str:
    """How long ago, e.g. `12s`; "" when nobody knows."""
    if moment is None:
        return ""
    seconds = max(0, int((time.time() if now is None else now) - moment / 1000))
    for size, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{word}"
    return f"{seconds}s"
