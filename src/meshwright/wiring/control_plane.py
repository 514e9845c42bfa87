"""The control plane of a mesh: `python -m meshwright.wiring.control_plane --data DIR`.

What `up` was given becomes objects of the store; objects are compiled, and every change of them, and of the readiness
of pods, follows. Machines get what they need over the node stream. It may be killed at any time: agents, pods and
proxies go on with what they have, and the next one takes over from the store and from what the agents report.
"""

import asyncio
import logging
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from meshwright.agent.settings import Rung
from meshwright.ca.authority import Authority
from meshwright.ca.rotation import Rotation
from meshwright.controllers.controllers import Controllers
from meshwright.controllers.pod_status_writer import PodStatusWriter
from meshwright.controllers.resources import meaning
from meshwright.model.names import ProxyName
from meshwright.model.objects import MeshObjects
from meshwright.model.workload import Identity
from meshwright.node.server import Live, NodeServer
from meshwright.processes.state import DataDirectory
from meshwright.status.mesh_status import MeshStatus
from meshwright.store.limits import Limits
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.wiring.acknowledgements import Acknowledgements
from meshwright.wiring.address_book import given_in
from meshwright.wiring.addresses import SERVICE_ADDRESSES
from meshwright.wiring.analysis import Analysis
from meshwright.wiring.cluster_addresses import cluster_addresses
from meshwright.wiring.control_plane_metrics import ControlPlaneMetrics
from meshwright.wiring.host_ports import show_host_ports
from meshwright.wiring.kept_steps import FILE as STEPS
from meshwright.wiring.kept_steps import KeptSteps
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.machine import NODE, NODE_SOCKET, machine_of, run_file_of, settle
from meshwright.wiring.mesh_control import MeshControl
from meshwright.wiring.object_api import ApiPlace, ObjectApi
from meshwright.wiring.pod_reports import PodReports
from meshwright.wiring.process_main import run_process, stop_on_signals
from meshwright.wiring.receipts import Receipts
from meshwright.wiring.run_file import RunFile
from meshwright.wiring.seeding import AUTHOR, fingerprint, seed
from meshwright.wiring.sentences import CHANGES
from meshwright.wiring.source_lines import FILE as SOURCE_TEXTS
from meshwright.wiring.source_lines import SourceLines
from meshwright.wiring.status_view import StatusView
from meshwright.wiring.step_keeper import StepKeeper
from meshwright.wiring.store_follower import StoreFollower
from meshwright.wiring.tls_steps import TlsSteps

LOG = logging.getLogger("meshwright")
DRAIN_BOUND_SECONDS = 10.0  # until a pod that leaves does not wait any longer for those who still may send to it
STEP_BOUND_SECONDS = 3.0  # of each step of a change that needs an order among proxies
APPLIED = "applied"  # the file that says which documents of `up` are in the store


@dataclass(frozen=True, slots=True)
class Living:
    """The store, what follows it, and the mesh that comes of it; loaded."""

    store: Store
    follower: StoreFollower
    mesh: LiveMesh
    controllers: Controllers
    writer: PodStatusWriter


class ControlPlane:
    """Store, object API, compiler, authority and the stream to the machines, wired together."""

    def __init__(self, data: DataDirectory, living: Living, run: RunFile) -> None:
        assert living.mesh.loaded is not None, "the follower has loaded the store"
        self._data = data
        self._living = living
        self._mesh = living.mesh
        self._follower = living.follower
        self._reports = PodReports(living.writer)
        trust_domain = living.mesh.loaded.settings.trust_domain
        self._authority = Authority.open(data.root / "ca", trust_domain, _now(), run.certificate_times)
        self._nodes = NodeServer(
            self._mesh.published,
            self._sign,
            self._drained,
            roots_pem=self._authority.roots,
            held=True,
        )
        self._rotation = Rotation(self._authority, _now, self._all_acknowledged)
        self._steps = Acknowledgements(self._nodes, self._mesh.published, STEP_BOUND_SECONDS)
        self._drains = Acknowledgements(self._nodes, self._mesh.published, DRAIN_BOUND_SECONDS)
        self._keeper = StepKeeper(self._mesh, self._steps, time.monotonic)
        self._receipts = Receipts(self._nodes, self._mesh.published, time.monotonic, self._mesh.steps)
        self._analysis = Analysis(self._mesh, lambda: self._status.look_again())  # noqa: PLW0108 - made after it
        view = StatusView(self._mesh, self._follower, lambda: self._analysis.value)
        self._status = MeshStatus(living.store, view, self._nodes, self._receipts, time.monotonic)
        self._receipts.lets = self._status.lets
        self._metrics = ControlPlaneMetrics(self._nodes, self._mesh.published, time.monotonic)
        self._control = MeshControl(data, living.store, self._mesh, self._receipts, self._nodes, self._status)
        self._control.also("metrics", self._metrics.operation(self._objects))
        self._api = ObjectApi(
            living.store,
            ApiPlace(
                data, run.api_port, self._authority, Rung(run.rung), _now, self._objects, self._metrics.validated
            ),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; everything else goes on."""
        self._receipts.start(self._follower.change.value)
        self._follower.heard = self._metrics.stored
        settle()
        async with self._nodes, asyncio.TaskGroup() as tasks:
            await self._nodes.add(NODE, self._mesh.desired, self._mesh.documents, path=self._data.run / NODE_SOCKET)
            await self._analysis.refresh()  # what is told first is what is told after: nothing is written twice
            helpers = [
                tasks.create_task(self._follow_pods()),
                tasks.create_task(self._follow_changes()),
                tasks.create_task(self._living.controllers.run()),
                tasks.create_task(self._living.writer.run()),
                tasks.create_task(self._follower.run()),
                tasks.create_task(self._receipts.run()),
                tasks.create_task(self._control.serve()),
                tasks.create_task(self._api.run()),
                tasks.create_task(self._rotation.run()),
                tasks.create_task(self._analysis.run()),
                tasks.create_task(self._metrics.run()),
            ]
            await stop.wait()
            for helper in helpers:
                helper.cancel()

    async def _follow_changes(self) -> None:
        seen = self._follower.change.value
        while True:
            seen = await self._follower.change.newer_than(seen)
            begun = self._follower.begun()
            self._receipts.published(seen, begun.since, begun.before)
            self._metrics.published(begun.since)

    async def _follow_pods(self) -> None:
        """Hear the machine before anything is sent to it: what it runs is among the first endpoints."""
        await self._nodes.reported(NODE)
        self._mesh.ready(self._nodes.statuses.value)
        self._nodes.release()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_statuses())
            tasks.create_task(self._follow_leaving())
            tasks.create_task(self._status.run())
            tasks.create_task(self._keeper.run())  # what it waits for can be acknowledged from now on

    async def _follow_statuses(self) -> None:
        seen = self._nodes.statuses.value
        while True:
            self._mesh.ready(seen)
            self._report()
            seen = await self._nodes.statuses.newer_than(seen)

    async def _follow_leaving(self) -> None:
        seen = self._follower.leaving.value
        while True:
            self._report()
            seen = await self._follower.leaving.newer_than(seen)

    def _report(self) -> None:
        self._reports.tell(self._nodes.statuses.value, self._mesh.desired.value, self._follower.leaving.value)

    def _objects(self) -> MeshObjects | None:
        return None if self._mesh.loaded is None else self._mesh.loaded.objects

    def _sign(self, identity: Identity, csr_pem: bytes) -> bytes:
        assert self._mesh.loaded is not None, "the follower has loaded the store"
        lifetime = self._mesh.loaded.settings.leaf_lifetime
        shorter = None if lifetime is None else timedelta(milliseconds=lifetime)
        try:
            signed = self._authority.sign(csr_pem, identity, _now(), shorter)
        except ValueError:
            self._metrics.signed(issued=False)
            raise
        self._metrics.signed(issued=True)
        return signed

    async def _all_acknowledged(self, timeout: float) -> bool:
        """Every proxy of the mesh runs the newest of everything; one that is away does not."""
        return await self._nodes.synced(timeout) and Live.ABSENT not in self._nodes.live(0).values()

    async def _drained(self, pod: ProxyName) -> None:
        """The pod is out of every endpoint list, acknowledged by all proxies that answer; bounded."""
        del pod  # its node has reported it as not ready before it asked
        self._mesh.ready(self._nodes.statuses.value)
        await self._drains.wait()


def _now() -> datetime:
    return datetime.now(UTC)


async def serve(data_dir: Path) -> None:
    """Run the control plane of a data directory until SIGTERM."""
    data = DataDirectory(data_dir.resolve())
    run = run_file_of(data)
    stop = stop_on_signals()
    sources = system_sources()
    fill = cluster_addresses(partial(given_in, data.root / SERVICE_ADDRESSES))
    store = await Store.open(SqliteEngine(data.store), sources, Limits(), meaning, fill)
    try:
        await seed_once(store, data.root / APPLIED, run)
        kept = KeptSteps(data.run / STEPS)
        resumed = kept.read((await store.head()).change)
        mesh = LiveMesh(await machine_of(data, run), TlsSteps(resumed), kept.keep)
        controllers = Controllers(store, sources.now)
        await controllers.settle()
        follower = StoreFollower(store, mesh, time.monotonic)
        await follower.load()
        living = Living(store, follower, mesh, controllers, PodStatusWriter(store, sources.now))
        await ControlPlane(data, living, run).run(stop)
    finally:
        await store.close()


async def seed_once(store: Store, record: Path, run: RunFile) -> None:
    """What `up` was given becomes objects, unless the store has had just that: later changes are not undone."""
    texts = [(text.file, text.text) for text in run.texts]
    wanted = fingerprint(texts)
    if record.exists() and record.read_text() == wanted:
        await show_host_ports(store, run.forwards, AUTHOR)
        return
    await seed(store, texts, str(CHANGES.say("change-up", profile=run.profile)), run.forwards)
    await SourceLines(record.with_name(SOURCE_TEXTS), store).remember(texts)
    record.write_text(wanted)


def main() -> int:
    """The supervisor starts this."""
    return run_process("meshwright-control-plane", __doc__, serve)


if __name__ == "__main__":
    sys.exit(main())
