"""The telemetry worker: `python -m meshwright.wiring.telemetry_process --data DIR`.

It asks the proxies of this machine what they counted, keeps the totals and the live graph, and serves `/metrics` and
the console. A process of its own, so that a flood of requests in the mesh delays no push and no probe. Killed at any
time, the next one goes on where the last flush was.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from meshwright.agent.paths import PodPaths
from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.asynctools.quiet_server import QuietServer
from meshwright.console.application import application
from meshwright.console.seams import MeshAwayError, MeshRefusesError, Seams, Wanted
from meshwright.model.names import ProxyName
from meshwright.processes import state
from meshwright.processes.client import LIFE_SECONDS, Disconnected, RemoteError, answer_of
from meshwright.processes.state import DataDirectory
from meshwright.telemetry.exposing import TYPE, exposition
from meshwright.telemetry.facts import NO_FACTS, MeshFacts, PodFacts, ServiceFacts, facts_of
from meshwright.telemetry.gathering import Gathering, Place
from meshwright.telemetry.graph import TrafficWindow
from meshwright.telemetry.graph_values import graph_values
from meshwright.telemetry.history import History
from meshwright.telemetry.kept_totals import KeptTotals
from meshwright.telemetry.records import RequestRing
from meshwright.telemetry.totals import Totals
from meshwright.telemetry.usage import Usage
from meshwright.wiring.machine import run_file_of, settle
from meshwright.wiring.own_metrics import OwnMetrics
from meshwright.wiring.process_main import run_process, stop_on_signals
from meshwright.wiring.run_file import RunFile
from meshwright.wiring.usage_gathering import follow_usage

LOG = logging.getLogger("meshwright")
MESH_SOCKET = "mesh.sock"
ADDRESS = "127.0.0.1"
HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
FACTS_SECONDS = 1.0
ADDRESSES = "telemetry.json"  # in run/: the ports that are really used


class TelemetryProcess:
    """Gathering, totals, graph and the two servers, wired together."""

    def __init__(self, data: DataDirectory, run: RunFile) -> None:
        self._data = data
        self._rung = Rung(run.rung)
        self._facts = NO_FACTS
        self._serial = 0
        self._totals = Totals()
        self._kept = KeptTotals(data.root / "telemetry" / "totals.db", self._totals)
        self._window = TrafficWindow()
        self._history = History(data.root / "telemetry" / "history.db")
        self._usage = Usage()
        self._own = OwnMetrics(data, self.ask)
        self._ring = RequestRing()
        for edge, record in self._history.requests():
            self._ring.add(edge, record)
        self._news = Latest(0)
        self._gathering = Gathering(
            self._kept, self._window, lambda: self._facts, self._places, self._ring, self._history
        )
        seams = Seams(
            graph=self._graph,
            past=self._past,
            requests=self._requests,
            news=self._news,
            ask=self.ask,
            token=keep_token(data.console_token),
            mesh=socket.gethostname(),
            ingress=next((f"http://localhost:{each.host_port}" for each in run.forwards if each.name == "http"), ""),
            version=version("meshwright"),
            allowed_hosts=HOSTS,
        )
        before = state.read_json(data.run / ADDRESSES)
        self._servers = (
            _server(application(seams), before.get("console", 0), run.console_port),
            _server(metrics_application(self._metrics), before.get("metrics", 0), run.metrics_port),
        )
        console, metrics = (listener.getsockname()[1] for _, listener in self._servers)
        state.write_json(data.run / ADDRESSES, {"console": console, "metrics": metrics})

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        settle()
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._follow_facts()),
                tasks.create_task(self._gathering.run(self._tell)),
                tasks.create_task(follow_usage(self._data, self._usage)),
                tasks.create_task(self._own.run()),
                *(tasks.create_task(server.serve(sockets=[listener])) for server, listener in self._servers),
            ]
            await stop.wait()
            for server, _ in self._servers:
                server.should_exit = True
            for helper in helpers:
                helper.cancel()
        self._history.close()
        self._kept.close()
        (self._data.run / ADDRESSES).unlink(missing_ok=True)  # who ends in order keeps no port

    async def _metrics(self) -> str:
        return exposition(self._totals) + self._usage.text() + await self._own.text()

    def _tell(self) -> None:
        self._news.set(self._news.value + 1)

    def _graph(self) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        edges, seconds = self._window.edges(now)
        return graph_values(edges, seconds, self._facts)

    def _past(self, seconds: float) -> dict[str, Any]:
        """The graph of the last minutes, as far as they are written; over more than the live window."""
        now = time.time()
        return graph_values(self._history.edges(now - seconds, now), seconds, self._facts)

    def _requests(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Those of one edge are at hand; the others are looked for among all that are kept."""
        if wanted.edge:
            return self._ring.last(wanted.edge, wanted.most)
        return self._history.find(wanted.most, request=wanted.request, failed=wanted.failed)

    def _places(self) -> Mapping[str, Place]:
        """The Envoys that run here."""
        found: dict[str, Place] = {}
        for name, pod in self._facts.pods.items():
            here = PodPaths.of(self._data.root, self._rung, ProxyName(name)).here
            if pod.has_proxy and here.admin_socket.exists():
                found[name] = Place(here.admin_socket, here.records, here.flows)
        return found

    async def _follow_facts(self) -> None:
        """What the control plane knows; without it what was known stays."""
        while True:
            with contextlib.suppress(MeshAwayError, MeshRefusesError):
                answer = await self.ask("topology", {"seen": self._serial})
                if answer["serial"] != self._serial:
                    self._serial = answer["serial"]
                    self._facts = read_facts(answer, self._facts)
            await asyncio.sleep(FACTS_SECONDS)

    async def ask(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        """One operation of the control plane."""
        return await ask_mesh(self._data.run / MESH_SOCKET, operation, fields)


async def ask_mesh(
    path: Path, operation: str, fields: dict[str, Any], patience: float = LIFE_SECONDS
) -> dict[str, Any]:
    """One operation of the control plane that listens at `path`. MeshAwayError also when it is stopped: when it shows
    no life for `patience` seconds.
    """
    try:
        result, _ = await answer_of(path, operation, fields, patience)
    except RemoteError as error:
        raise MeshRefusesError(str(error), error.said) from None
    except (Disconnected, OSError) as error:
        raise MeshAwayError(f"the control plane does not answer: {error}") from None
    return result.values


def read_facts(answer: Mapping[str, Any], before: MeshFacts) -> MeshFacts:
    """The answer of `topology`."""
    pods = tuple(msgspec.convert(each, PodFacts, strict=False) for each in answer["pods"])
    services = tuple(ServiceFacts(**each) for each in answer["services"])
    return facts_of(pods, services, answer["trust_domain"], before)


def metrics_application(text: Callable[[], Awaitable[str]]) -> Starlette:
    """What a Prometheus on this machine scrapes."""

    async def metrics(request: Request) -> PlainTextResponse:
        del request
        return PlainTextResponse(await text(), headers={"content-type": TYPE})

    return Starlette(routes=[Route("/metrics", metrics)])


def keep_token(path: Path) -> str:
    """The token of this mesh's console, made once; the file is for its owner alone."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()


def _server(app: ASGIApp, before: int, port: int) -> tuple[QuietServer, socket.socket]:
    """A worker that is started again takes the port that it had `before`, where pages wait for it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not (before and _bound(listener, before)) and not _bound(listener, port):
        LOG.warning("port %d is taken: another one is used (meshwright status)", port)
        listener.bind((ADDRESS, 0))
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return QuietServer(config), listener


def _bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind((ADDRESS, port))
    except OSError:
        return False
    return True


async def serve(data_dir: Path) -> None:
    """Run the worker of a data directory until SIGTERM."""
    data = DataDirectory(data_dir.resolve())
    await TelemetryProcess(data, run_file_of(data)).run(stop_on_signals())


def main() -> int:
    """The supervisor starts this."""
    return run_process("meshwright-telemetry", __doc__, serve)


if __name__ == "__main__":
    sys.exit(main())
