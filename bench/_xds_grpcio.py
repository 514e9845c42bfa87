"""A delta ADS server over grpcio's asyncio API, for `bench.xds`: what one writes in an afternoon.

Arguments and commands as of `bench._xds_ours`, with one socket for all. A stream knows the version of each resource
that its proxy has; whenever something changes, what differs is put into a response. The class of a proxy is the
cluster of its node.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from bench._xds_commands import obeyed
from bench._xds_mesh import Held, Mesh, load
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)
from meshwright.model.names import CLUSTER, LISTENER

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
WILDCARD = {CLUSTER, LISTENER}
Requests = AsyncIterator[DeltaDiscoveryRequest]
Context = grpc.aio.ServicerContext[DeltaDiscoveryRequest, DeltaDiscoveryResponse]


def resource(held: Held) -> Resource:
    made = Resource(name=held.name, version=hashlib.sha256(held.value).hexdigest()[:16])
    made.resource.type_url, made.resource.value = held.type_url, held.value
    return made


def _wake(news: asyncio.Queue[None]) -> None:
    if news.empty():
        news.put_nowait(None)


@dataclass
class Type:
    """One type on one stream."""

    names: set[str] = field(default_factory=set[str])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    in_flight: bool = False


class Server:
    """Resources by class, type and name."""

    def __init__(self, mesh: Mesh) -> None:
        ready = [(held.type_url, held.name, resource(held)) for held in mesh.resources]
        self._classes: dict[str, dict[str, dict[str, Resource]]] = {}
        for number, positions in enumerate(mesh.classes):
            by_type = self._classes.setdefault(f"class-{number}", {})
            for position in positions:
                url, name, made = ready[position]
                by_type.setdefault(url, {})[name] = made
        self._streams: set[asyncio.Queue[None]] = set()

    async def change(self, held: Held) -> None:
        made = resource(held)
        for by_type in self._classes.values():
            by_type[held.type_url][held.name] = made
        for news in self._streams:
            _wake(news)

    async def stream(self, requests: Requests, context: Context) -> None:
        """One proxy, until it hangs up."""
        types: dict[str, Type] = {}
        node_class = ""
        news: asyncio.Queue[None] = asyncio.Queue(1)
        self._streams.add(news)

        async def read() -> None:
            nonlocal node_class
            async for request in requests:
                node_class = node_class or request.node.cluster
                known = types.get(request.type_url)
                if known is None:
                    known = types[request.type_url] = Type(versions=dict(request.initial_resource_versions))
                known.names.update(request.resource_names_subscribe)
                known.in_flight = False
                _wake(news)
            raise EOFError

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())
                for nonce in count(1):
                    answer = await self._next(types, lambda: node_class, news)
                    answer.nonce = str(nonce)
                    await context.write(answer)
        except* EOFError:
            pass
        finally:
            self._streams.discard(news)

    async def _next(
        self, types: dict[str, Type], node_class: Callable[[], str], news: asyncio.Queue[None]
    ) -> DeltaDiscoveryResponse:
        while True:
            for url, known in types.items():
                fresh = [] if known.in_flight else self._fresh(node_class(), url, known)
                if fresh:
                    known.in_flight = True
                    known.versions.update((each.name, each.version) for each in fresh)
                    return DeltaDiscoveryResponse(type_url=url, resources=fresh)
            await news.get()

    def _fresh(self, node_class: str, url: str, known: Type) -> list[Resource]:
        resources = self._classes[node_class].get(url, {})
        names = resources if url in WILDCARD else known.names & resources.keys()
        return [resources[name] for name in names if known.versions.get(name) != resources[name].version]


async def serve(path: Path, mesh: Mesh) -> None:
    held = Server(mesh)
    handler = grpc.stream_stream_rpc_method_handler(
        held.stream, DeltaDiscoveryRequest.FromString, DeltaDiscoveryResponse.SerializeToString
    )
    serving = grpc.aio.server(options=(("grpc.max_receive_message_length", 1 << 26),))
    handlers: dict[str, Any] = {"DeltaAggregatedResources": handler}
    serving.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    serving.add_insecure_port(f"unix:{path}")
    await serving.start()
    await obeyed(held.change)
    await serving.stop(None)


def main() -> None:
    path, file = sys.argv[1:]
    asyncio.run(serve(Path(path), load(Path(file))))


if __name__ == "__main__":
    main()
