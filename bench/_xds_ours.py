"""A process with the real `XdsServer`, one unix socket per proxy, for `bench.xds`.

Arguments: the number of proxies, a folder for the sockets, a file with resources (`bench._xds_mesh`). Commands on
stdin, a line of JSON back for each: `change TYPE_URL NAME BASE64` (in every class) and `stat`.
"""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import uvloop

from bench._xds_commands import obeyed
from bench._xds_mesh import Held, Mesh, load
from meshwright.asynctools.latest import Latest
from meshwright.envoyapi.resource import frame
from meshwright.model.chunked import ChunkedMapping
from meshwright.model.names import Namespace, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Published
from meshwright.wiring.machine import settle
from meshwright.xds.server import XdsServer

CHUNKS = 64
Named = Mapping[ResourceName, EncodedResource]


def encoded(held: Held) -> EncodedResource:
    """As the compiler encodes."""
    version, pieces = frame(held.name, held.type_url, (held.value,))
    return EncodedResource(held.type_url, held.name, Version(version), pieces)


def _place(name: ResourceName) -> int:
    return hash(name) % CHUNKS


def chunked(resources: list[EncodedResource]) -> Named:
    """A mapping as the compiler publishes them: what does not change is shared with the one before."""
    chunks: tuple[dict[ResourceName, EncodedResource], ...] = tuple({} for _ in range(CHUNKS))
    for each in resources:
        chunks[_place(each.name)][each.name] = each
    return ChunkedMapping(chunks, _place)


def with_one(old: Named, new: EncodedResource) -> Named:
    """The same but for one resource."""
    assert isinstance(old, ChunkedMapping)
    place = _place(new.name)
    chunks = list(old.chunks()[:CHUNKS])
    chunks[place] = {**chunks[place], new.name: new}
    return ChunkedMapping(tuple(chunks), _place)


def published(mesh: Mesh, proxies: int) -> Published:
    """What the compiler would publish; equal types of all classes share one mapping where they are equal."""
    ready = [encoded(held) for held in mesh.resources]
    known: dict[tuple[int, ...], Named] = {}
    classes: dict[ProxyClass, Mapping[TypeUrl, Named]] = {}
    for number, positions in enumerate(mesh.classes):
        by_type: dict[TypeUrl, list[int]] = {}
        for position in positions:
            by_type.setdefault(ready[position].type_url, []).append(position)
        resources: dict[TypeUrl, Named] = {}
        for url, own in by_type.items():
            key = tuple(own)
            if key not in known:
                known[key] = chunked([ready[position] for position in own])
            resources[url] = known[key]
        classes[ProxyClass(Role.SIDECAR, Namespace(f"class-{number}"), Interception.UID, "1.40.0")] = resources
    names = list(classes)
    members = {ProxyName(f"pod-{number}.default"): names[number % len(names)] for number in range(proxies)}
    return Published(members, classes, {})


def changed(before: Published, new: EncodedResource) -> Published:
    """One resource of every class is another one."""
    mappings: dict[int, Named] = {}
    classes: dict[ProxyClass, Mapping[TypeUrl, Named]] = {}
    for name, resources in before.classes.items():
        old = resources[new.type_url]
        if id(old) not in mappings:
            mappings[id(old)] = with_one(old, new)
        classes[name] = {**resources, new.type_url: mappings[id(old)]}
    return Published(before.proxies, classes, {})


async def serve(proxies: int, folder: Path, mesh: Mesh) -> None:
    state = Latest(published(mesh, proxies))

    async def change(new: Held) -> None:
        state.set(changed(state.value, encoded(new)))

    async with XdsServer(state) as server:
        for number in range(proxies):
            await server.add(ProxyName(f"pod-{number}.default"), folder / str(number))
        settle()  # as the control plane does
        await obeyed(change)


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    proxies, folder, file = sys.argv[1:]
    uvloop.run(serve(int(proxies), Path(folder), load(Path(file))))


if __name__ == "__main__":
    main()
