"""Which objects the resources of a proxy come from, as the control plane knows it."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from meshwright.processes.client import Disconnected, RemoteError, connected
from meshwright.processes.spool import read_spools
from meshwright.wiring.local_mesh import LocalMesh

PATIENCE_SECONDS = 2.0  # for a control plane that is there and does not answer
Json = dict[str, Any]
Named = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Origins:
    """By type and name; nothing where the control plane is away or does not know the proxy (`known` False)."""

    known: bool = False
    role: str = ""
    resources: Mapping[str, Named] = field(default_factory=dict[str, Named])

    def of(self, type_url: str, name: str) -> list[Json]:
        """The origins of one resource: each has place, kind, namespace, name, path, file, line."""
        return cast("list[Json]", self.resources.get(type_url, {}).get(name, {}).get("origins", []))

    def at(self, type_url: str, name: str, place: str = "") -> str:
        """The origins of one place of a resource in words; "" when none is known."""
        return words(each for each in self.of(type_url, name) if each["place"] == place)


def origins_of(mesh: LocalMesh, proxy: str) -> Origins:
    """Ask the control plane; works without it, too."""
    try:
        answer = asyncio.run(_ask(mesh, proxy))
    except (RemoteError, Disconnected, OSError):
        return Origins()
    return Origins(known=True, role=str(answer["role"]), resources=answer["resources"])


async def _ask(mesh: LocalMesh, proxy: str) -> Json:
    async with asyncio.timeout(PATIENCE_SECONDS), connected(mesh.mesh_socket) as client:
        _, descriptors = await client.call("origins", {"proxy": proxy})
        return cast("Json", json.loads(b"".join(read_spools(descriptors))))


def words(origins: Iterable[Json]) -> str:
    """`VirtualService default/reviews spec.http[0] (reviews.yaml:10)`, several with commas."""
    return ", ".join(dict.fromkeys(_words(each) for each in origins))


def _words(origin: Json) -> str:
    place = f"{origin['namespace']}/{origin['name']}" if origin["namespace"] else str(origin["name"])
    path = f" {origin['path']}" if origin["path"] else ""
    line = f" ({origin['file']}:{origin['line']})" if origin["file"] else ""
    return f"{origin['kind']} {place}{path}{line}"
