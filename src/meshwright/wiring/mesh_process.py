"""The process that runs a mesh from files: `python -m meshwright.wiring.mesh_process --data DIR`.

It reads what `up` kept, compiles it, and brings it about with the agent; the readiness of pods changes endpoints.
It may be killed at any time: pods and proxies go on, and the next one adopts them.
"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from meshwright.agent.agent import Agent
from meshwright.agent.paths import PodPaths
from meshwright.agent.ports import AgentPorts
from meshwright.agent.settings import AgentSettings, Rung
from meshwright.asynctools.latest import Latest
from meshwright.ca.authority import Authority
from meshwright.ca.leaves import LeafStore
from meshwright.compiler.compile import Sockets, live_bootstrap
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import PlannedPod, PodStatus
from meshwright.model.proxy import Interception, Role, application_address
from meshwright.processes.holder_client import Disconnected, HolderClient
from meshwright.processes.state import DataDirectory
from meshwright.wiring.envoy_binary import envoy_path
from meshwright.wiring.file_mesh import FileMesh
from meshwright.wiring.loading import load
from meshwright.wiring.run_file import RunFile, read_run_file
from meshwright.xds.server import XdsServer

LOG = logging.getLogger("meshwright")
DRAIN_BOUND_SECONDS = 5.0
HOLDER_PAUSE_SECONDS = 0.05


class MeshProcess:
    """Agent, xDS server, authority and compiler of one data directory, wired together."""

    def __init__(self, data: DataDirectory, run: RunFile, interception: Interception) -> None:
        rung = Rung(run.rung)
        loaded = load((text.file, text.text) for text in run.texts)
        self._mesh = FileMesh(loaded, rung, interception, data.root)
        now = datetime.now(UTC)
        authority = Authority.open(data.root / "ca", loaded.settings.trust_domain, now)
        self._leaves = LeafStore(authority, data.root / "leaves", lambda: datetime.now(UTC))
        for finding in self._leaves.set_credentials(loaded.objects.secret_contents):
            LOG.warning("%s: %s", finding.origin.object, finding.message)
        self._xds = XdsServer(self._mesh.published, self._leaves)
        loopback = rung is Rung.LOOPBACK
        settings = AgentSettings(
            data_dir=data.root,
            rung=rung,
            interception=interception,
            envoy_path=envoy_path(),
            application_address=application_address if loopback else str,
            cluster_domain=loaded.settings.cluster_domain,
        )
        self._agent = Agent(settings, self._ports(), Latest(self._mesh.desired(run.forwards)))

    def _ports(self) -> AgentPorts:
        objects = self._mesh.loaded.objects
        config_maps = {(each.meta.namespace, each.meta.name): dict(each.data) for each in objects.config_maps}
        secrets = {(each.meta.namespace, each.meta.name): dict(each.data) for each in objects.secret_contents}

        proxies = {proxy.name: proxy for proxy in self._mesh.snapshot.proxies}

        def bootstrap(pod: PlannedPod, paths: PodPaths) -> Mapping[str, object]:
            sockets = Sockets(xds=str(paths.inside.xds_socket), admin=str(paths.inside.admin_socket))
            return live_bootstrap(proxies[pod.name], self._mesh.loaded.settings, sockets)

        return AgentPorts(
            proxies=self._xds,
            prepare_identity=self._prepare_identity,
            bootstrap=bootstrap,
            catalogue=self._mesh.loaded.catalogue.find,
            config_map=lambda namespace, name: config_maps.get((namespace, name)),
            secret=lambda namespace, name: secrets.get((namespace, name)),
            drained=self._drained,
        )

    async def _prepare_identity(self, pod: PlannedPod) -> None:
        self._leaves.add(pod.name, pod.identity, is_gateway=pod.role is Role.ROUTER)

    async def _drained(self, pod: PlannedPod) -> None:
        """The pod is out of every endpoint list, acknowledged by all proxies that listen; bounded."""
        statuses = {name: status for name, status in self._agent.statuses.value.items() if name != pod.name}
        self._publish(statuses)
        connected = [name for name, status in self._xds.status().items() if status.connected]
        await self._xds.synced(connected, DRAIN_BOUND_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set (pods go on), or the agent was told to end the mesh."""
        await self._agent.adopt()
        self._publish(self._agent.statuses.value)
        settle()
        async with self._xds, asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._leaves.run()),
                tasks.create_task(self._follow()),
                tasks.create_task(self._serve_until(stop)),
            ]
            await helpers[-1]
            for helper in helpers:
                helper.cancel()

    def _publish(self, statuses: Mapping[ProxyName, PodStatus]) -> None:
        """Let proxies, and what stands in for them before pods without one, know which pods are ready."""
        self._mesh.ready(statuses)
        desired, services = self._agent.desired, self._mesh.services()
        if services != desired.value.services:
            desired.set(replace(desired.value, services=services))

    async def _serve_until(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._agent.run())
            waiting = tasks.create_task(stop.wait())
            await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            waiting.cancel()

    async def _follow(self) -> None:
        seen = self._agent.statuses.value
        while True:
            self._publish(seen)
            seen = await self._agent.statuses.newer_than(seen)


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
    await MeshProcess(data, run, await interception_of(data, Rung(run.rung))).run(stop)


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
