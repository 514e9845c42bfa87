"""The process that runs a mesh: `python -m meshwright.wiring.mesh_process --data DIR`.

What `up` was given becomes objects of the store; objects are compiled and brought about with the agent, and every
change of them, and of the readiness of pods, follows. It may be killed at any time: pods and proxies go on, and the
next one adopts them.
"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from meshwright.agent.agent import Agent
from meshwright.agent.paths import PodPaths
from meshwright.agent.ports import AgentPorts
from meshwright.agent.settings import AgentSettings, Rung
from meshwright.ca.authority import Authority
from meshwright.ca.leaves import LeafStore
from meshwright.compiler.compile import Sockets, live_bootstrap
from meshwright.controllers.controllers import Controllers
from meshwright.controllers.pod_status_writer import PodStatusWriter
from meshwright.controllers.resources import meaning
from meshwright.model.config import SecretContent
from meshwright.model.image import ImageEntry
from meshwright.model.meta import Meta
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.proxy import Interception, Role, application_address
from meshwright.processes.holder_client import Disconnected, HolderClient
from meshwright.processes.state import DataDirectory
from meshwright.store.limits import Limits
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.wiring.envoy_binary import envoy_path
from meshwright.wiring.live_mesh import LiveMesh, Machine
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.mesh_control import MeshControl
from meshwright.wiring.object_api import ApiPlace, ObjectApi
from meshwright.wiring.pod_reports import PodReports
from meshwright.wiring.receipts import Receipts
from meshwright.wiring.run_file import RunFile, read_run_file
from meshwright.wiring.seeding import fingerprint, seed
from meshwright.wiring.store_follower import StoreFollower
from meshwright.xds.server import XdsServer

LOG = logging.getLogger("meshwright")
DRAIN_BOUND_SECONDS = 5.0
HOLDER_PAUSE_SECONDS = 0.05
APPLIED = "applied"  # the file that says which documents of `up` are in the store


@dataclass(frozen=True, slots=True)
class Living:
    """The store, what follows it, and the mesh that comes of it; loaded."""

    store: Store
    follower: StoreFollower
    mesh: LiveMesh
    controllers: Controllers
    writer: PodStatusWriter


class MeshProcess:
    """Compiler, xDS server, authority and agent of one data directory, wired together around a living mesh."""

    def __init__(self, data: DataDirectory, machine: Machine, living: Living, api_port: int) -> None:
        self._mesh = living.mesh
        self._follower = living.follower
        self._living = living
        self._reports = PodReports(living.writer)
        settings = self._loaded.settings
        authority = Authority.open(data.root / "ca", settings.trust_domain, datetime.now(UTC))
        self._leaves = LeafStore(authority, data.root / "leaves", lambda: datetime.now(UTC))
        self._credentials: tuple[SecretContent, ...] = ()
        self._xds = XdsServer(self._mesh.published, self._leaves)
        self._receipts = Receipts(self._xds, self._mesh.published, time.monotonic)
        self._control = MeshControl(data, living.store, self._mesh, self._receipts)
        self._api = ObjectApi(living.store, ApiPlace(data, api_port, authority, lambda: datetime.now(UTC)))
        agent_settings = AgentSettings(
            data_dir=data.root,
            rung=machine.rung,
            interception=machine.interception,
            envoy_path=envoy_path(),
            application_address=application_address if machine.rung is Rung.LOOPBACK else str,
            cluster_domain=settings.cluster_domain,
        )
        self._agent = Agent(agent_settings, self._ports(), self._mesh.desired)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set (pods go on), or the agent was told to end the mesh."""
        self._take_credentials()
        await self._agent.adopt()
        self._mesh.ready(self._agent.statuses.value)
        self._receipts.start(self._follower.change.value)
        settle()
        async with self._xds, asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._leaves.run()),
                tasks.create_task(self._follow_pods()),
                tasks.create_task(self._follow_changes()),
                tasks.create_task(self._follow_leaving()),
                tasks.create_task(self._living.controllers.run()),
                tasks.create_task(self._living.writer.run()),
                tasks.create_task(self._follower.run()),
                tasks.create_task(self._receipts.run()),
                tasks.create_task(self._control.serve()),
                tasks.create_task(self._api.run()),
                tasks.create_task(self._serve_until(stop)),
            ]
            await helpers[-1]
            for helper in helpers:
                helper.cancel()

    async def _follow_changes(self) -> None:
        seen = self._follower.change.value
        while True:
            seen = await self._follower.change.newer_than(seen)
            self._take_credentials()
            self._receipts.published(seen)

    @property
    def _loaded(self) -> LoadedMesh:
        assert self._mesh.loaded is not None, "the follower has loaded the store"
        return self._mesh.loaded

    def _take_credentials(self) -> None:
        """Gateways get the Secrets of their namespaces; what cannot be used is told."""
        contents = self._loaded.objects.secret_contents
        if contents != self._credentials:
            self._credentials = contents
            for finding in self._leaves.set_credentials(contents):
                LOG.warning("%s: %s", finding.origin.object, finding.message)

    def _ports(self) -> AgentPorts:
        return AgentPorts(
            proxies=self._xds,
            prepare_identity=self._prepare_identity,
            bootstrap=self._bootstrap,
            catalogue=self._catalogue,
            config_map=self._config_map,
            secret=self._secret,
            drained=self._drained,
        )

    def _bootstrap(self, pod: PlannedPod, paths: PodPaths) -> Mapping[str, object]:
        proxy = self._mesh.proxy(pod.name)
        assert proxy is not None, "only pods with a proxy ask"
        sockets = Sockets(xds=str(paths.inside.xds_socket), admin=str(paths.inside.admin_socket))
        return live_bootstrap(proxy, self._loaded.settings, sockets)

    def _catalogue(self, image: str) -> ImageEntry | None:
        return self._loaded.catalogue.find(image)

    def _config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = self._loaded.objects.config_maps
        return next((dict(each.data) for each in found if _is(each.meta, namespace, name)), None)

    def _secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        found = self._loaded.objects.secret_contents
        return next((dict(each.data) for each in found if _is(each.meta, namespace, name)), None)

    async def _prepare_identity(self, pod: PlannedPod) -> None:
        self._leaves.add(pod.name, pod.identity, is_gateway=pod.role is Role.ROUTER)

    async def _drained(self, pod: PlannedPod) -> None:
        """The pod is out of every endpoint list, acknowledged by all proxies that listen; bounded."""
        statuses = {name: status for name, status in self._agent.statuses.value.items() if name != pod.name}
        self._mesh.ready(statuses)
        connected = [name for name, status in self._xds.status().items() if status.connected]
        await self._xds.synced(connected, DRAIN_BOUND_SECONDS)

    async def _follow_pods(self) -> None:
        seen = self._agent.statuses.value
        while True:
            self._mesh.ready(seen)
            self._report()
            seen = await self._agent.statuses.newer_than(seen)

    async def _follow_leaving(self) -> None:
        seen = self._follower.leaving.value
        while True:
            self._report()
            seen = await self._follower.leaving.newer_than(seen)

    def _report(self) -> None:
        self._reports.tell(self._agent.statuses.value, self._mesh.desired.value, self._follower.leaving.value)

    async def _serve_until(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._agent.run())
            waiting = tasks.create_task(stop.wait())
            await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            waiting.cancel()


def _is(meta: Meta, namespace: str, name: str) -> bool:
    return (meta.namespace, meta.name) == (namespace, name)


def settle() -> None:
    """What is loaded now stays: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()


async def interception_of(data: DataDirectory, rung: Rung) -> Interception:
    """How this sandbox tells a proxy's own traffic apart; waits until the holder serves."""
    if rung is Rung.LOOPBACK:
        return Interception.NONE
    while True:
        try:
            async with HolderClient.session(data.holder_socket) as holder:
                hello = await holder.hello()
                return Interception.UID if hello.exclusion == "uid" else Interception.MARK
        except (Disconnected, OSError):
            await asyncio.sleep(HOLDER_PAUSE_SECONDS)


async def serve(data_dir: Path) -> None:
    """Run the mesh of a data directory until SIGTERM."""
    data = DataDirectory(data_dir.resolve())
    run = read_run_file(data.root)
    if run is None:
        raise SystemExit(f"{data.root} holds no mesh: start one with `meshwright up`")
    stop = asyncio.Event()
    on_signal: Callable[[], None] = stop.set
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    sources = system_sources()
    store = await Store.open(SqliteEngine(data.root / "store"), sources, Limits(), meaning)
    try:
        await seed_once(store, data.root / APPLIED, run)
        rung = Rung(run.rung)
        machine = Machine(rung, await interception_of(data, rung), data.root, run.forwards)
        mesh = LiveMesh(machine)
        controllers = Controllers(store, sources.now)
        await controllers.settle()
        living = Living(store, StoreFollower(store, mesh), mesh, controllers, PodStatusWriter(store, sources.now))
        await living.follower.load()
        await MeshProcess(data, machine, living, run.api_port).run(stop)
    finally:
        await store.close()


async def seed_once(store: Store, record: Path, run: RunFile) -> None:
    """What `up` was given becomes objects, unless the store has had just that: later changes are not undone."""
    texts = [(text.file, text.text) for text in run.texts]
    wanted = fingerprint(texts)
    if record.exists() and record.read_text() == wanted:
        return
    await seed(store, texts, f"up, profile {run.profile}")
    record.write_text(wanted)


def main() -> int:
    """The supervisor starts this."""
    parser = argparse.ArgumentParser(prog="meshwright-mesh", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(serve(given.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
