"""The console's own application on a real port, with values that a mesh gives in moments that are hard to come by."""

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from meshwright.asynctools.latest import Latest
from meshwright.console.application import application
from meshwright.console.seams import MeshAwayError, MeshRefusesError, Seams, Wanted
from meshwright.wiring.sentences import REFUSALS

TOKEN = "t" * 32
WINDOW = 30
Json = dict[str, Any]


def change(number: int, **receipt: Any) -> Json:
    told: Json = {"change": number, "live": False, "affected": 3, "waiting": [], "absent": [], "refused": []}
    return {
        "number": number,
        "time": 1_795_271_220_000 + number,
        "author": "ann",
        "message": "",
        "objects": [f"VirtualService default/v{number}"],
        "receipt": {**told, "milliseconds": None, **receipt},
    }


def node(name: str, kind: str = "workload", version: str = "v1", *, in_mesh: bool = True) -> Json:
    """`name` is <namespace>/<workload> (its app is what stands before "-v"), or the host of a service."""
    namespace, _, workload = name.rpartition("/")
    outside = kind in ("service", "unknown")
    return {
        "id": name,
        "kind": kind,
        "namespace": namespace,
        "name": workload,
        "app": "" if outside else workload.rsplit("-v", 1)[0],
        "version": version if kind == "workload" else "",
        "in_mesh": in_mesh and not outside,
    }


def edge(source: str, destination: str, service: str = "", protocol: str = "http", **values: Any) -> Json:
    """5 calls a second without errors over mutual TLS, but for what `values` say."""
    workload = destination.rpartition("/")[2]
    service = service or f"{workload.rsplit('-v', 1)[0]}.default.svc.cluster.local"
    rps = values.get("rps", 5.0)
    return {
        "id": f"{source}>{destination}>{service}>{protocol}",
        "source": source,
        "destination": destination,
        "service": service,
        "protocol": protocol,
        "count": round(rps * WINDOW),
        "rps": rps,
        "error_share": 0.0,
        "mtls_share": 1.0,
        "p50_ms": None if protocol == "tcp" else 0.6,
        "p95_ms": None if protocol == "tcp" else 16.2,
        "p99_ms": None if protocol == "tcp" else 40.0,
        "codes": [{"code": "tcp" if protocol == "tcp" else "200", "flags": "-", "count": round(rps * WINDOW)}],
        **values,
    }


def graph(nodes: list[Json], edges: list[Json]) -> Json:
    return {"window_seconds": float(WINDOW), "nodes": nodes, "edges": edges}


@dataclass
class Values:
    """What the mesh says; `tell` makes the page hear of it."""

    graph: Json = field(default_factory=lambda: graph([], []))
    changes: list[Json] = field(default_factory=list[Json])
    differences: list[Json] = field(default_factory=list[Json])
    requests: list[Json] = field(default_factory=list[Json])
    visitors: bool | None = None
    away: bool = False
    news: Latest[int] = field(default_factory=lambda: Latest(0))
    loop: asyncio.AbstractEventLoop | None = None
    server: uvicorn.Server | None = None
    url: str = ""

    def tell(self) -> None:
        """From the test's thread, after a page was opened."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(lambda: self.news.set(self.news.value + 1))

    async def ask(self, operation: str, fields: Json) -> Json:
        self.loop = asyncio.get_running_loop()
        if self.away:
            raise MeshAwayError("the control plane does not answer")
        if operation == "undo":
            since = REFUSALS.say("changed-since", object="VirtualService default/v3", paths=("spec.http",))
            said = REFUSALS.say("undo-conflicts", change=fields["change"], conflicts=(since,))
            raise MeshRefusesError(str(said), said.as_json())
        if operation == "visitors":
            self.visitors = fields["wanted"] == "on" if fields["wanted"] else self.visitors
            return {"on": self.visitors}
        return {"changes": self.changes} if operation == "changes" else {"differences": self.differences}

    def last(self, wanted: Wanted) -> list[Json]:
        return self.requests[: wanted.most]

    def seams(self, port: int) -> Seams:
        return Seams(
            graph=lambda: self.graph,
            past=lambda _: self.graph,
            requests=self.last,
            news=self.news,
            ask=self.ask,
            token=TOKEN,
            mesh="small",
            ingress=f"http://localhost:{port}",
            version="0",
            allowed_hosts=frozenset({"localhost"}),
        )


@contextmanager
def served() -> Generator[Values]:
    """Values behind the console's application; `url` is what logs in."""
    made = Values()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # who connects before the server runs waits
    port = listener.getsockname()[1]
    made.url = f"http://localhost:{port}/#token={TOKEN}"
    config = uvicorn.Config(
        application(made.seams(port)), lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1
    )
    made.server = uvicorn.Server(config)
    thread = threading.Thread(target=made.server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield made
    finally:
        made.server.should_exit = True
        thread.join(20)
        listener.close()
