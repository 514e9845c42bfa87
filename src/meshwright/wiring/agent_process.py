"""The agent of one machine: `python -m meshwright.wiring.agent_process --data DIR`.

It brings about the pods that the control plane wants here, makes their keys, and serves their Envoys; with what it
has on disk when the control plane is away. It may be killed at any time: pods and proxies go on, and the next one
adopts them.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from meshwright.agent.agent import Agent
from meshwright.agent.ports import AgentPorts
from meshwright.agent.settings import AgentSettings, Rung
from meshwright.ca.requested_leaves import RequestedLeaves
from meshwright.model.config import SecretContent
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.proxy import Role, application_address
from meshwright.node.relay import Relay
from meshwright.processes.state import DataDirectory
from meshwright.wiring.envoy_binary import envoy_path
from meshwright.wiring.machine import NODE_SOCKET, Machine, machine_of, run_file_of, settle
from meshwright.wiring.node_documents import DocumentReader
from meshwright.wiring.process_main import run_process, stop_on_signals
from meshwright.wiring.proxy_aims import ProxyAims
from meshwright.xds.server import XdsServer

LOG = logging.getLogger("meshwright")
REFUSED_PAUSE_SECONDS = 1.0
CACHE = "node-cache"


class AgentProcess:
    """Relay, xDS server, certificates and agent of one machine, wired together; the relay has a state."""

    def __init__(self, machine: Machine, relay: Relay) -> None:
        self._relay = relay
        self._documents = DocumentReader(relay.documents)
        self._leaves = RequestedLeaves(relay, machine.data_dir / "leaves", lambda: datetime.now(UTC))
        self._credentials: tuple[SecretContent, ...] = ()
        self._xds = XdsServer(relay.published, self._leaves)
        self._aims = ProxyAims(relay.published, self._leaves, self._xds)
        settings = AgentSettings(
            data_dir=machine.data_dir,
            rung=machine.rung,
            interception=machine.interception,
            envoy_path=envoy_path(),
            application_address=application_address if machine.rung is Rung.LOOPBACK else str,
            cluster_domain=self._documents.settings.cluster_domain,
        )
        self._agent = Agent(settings, self._ports(), relay.desired)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set (pods go on), or the agent was told to end the mesh."""
        self._take_credentials()
        await self._agent.adopt()
        self._relay.report(self._agent.statuses.value)
        settle()
        async with self._xds, asyncio.TaskGroup() as tasks:
            self._relay.watch(self._xds, self._agent.is_stopped)
            helpers = [
                tasks.create_task(self._leaves.run()),
                tasks.create_task(self._aims.run()),
                tasks.create_task(self._follow_statuses()),
                tasks.create_task(self._follow_documents()),
            ]
            await self._serve_until(stop)
            for helper in helpers:
                helper.cancel()

    async def _serve_until(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._agent.run())
            waiting = tasks.create_task(stop.wait())
            await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            waiting.cancel()

    async def _follow_statuses(self) -> None:
        """Tell the control plane; the keys of pods that are gone for good are destroyed."""
        seen = self._agent.statuses.value
        while True:
            self._relay.report(seen)
            before = seen
            seen = await self._agent.statuses.newer_than(seen)
            wanted = {pod.name for pod in self._relay.desired.value.pods}
            for name in before.keys() - seen.keys() - wanted:
                self._leaves.remove(name)

    async def _follow_documents(self) -> None:
        seen = self._relay.documents.value
        while True:
            seen = await self._relay.documents.newer_than(seen)
            self._take_credentials()

    def _take_credentials(self) -> None:
        """Gateways get the Secrets of their namespaces; what cannot be used is told."""
        contents = self._documents.credentials()
        if contents != self._credentials:
            self._credentials = contents
            for finding in self._leaves.set_credentials(contents):
                LOG.warning("%s: %s", finding.origin.object, finding.message)

    def _ports(self) -> AgentPorts:
        return AgentPorts(
            proxies=self._xds,
            prepare_identity=self._prepare_identity,
            bootstrap=self._documents.bootstrap,
            catalogue=self._documents.image,
            config_map=self._documents.config_map,
            secret=self._documents.secret,
            drained=self._drained,
            aim=self._aims.of,
        )

    async def _prepare_identity(self, pod: PlannedPod) -> None:
        """Have the pod's certificate; a refusal is told, and asked again: the plan may be about to change."""
        while True:
            try:
                await self._leaves.add(pod.name, pod.identity, is_gateway=pod.role is Role.ROUTER)
            except ValueError as error:
                LOG.warning("%s gets no certificate: %s", pod.name, error)
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)
            else:
                return

    async def _drained(self, pod: PlannedPod) -> None:
        """The pod is no endpoint of any proxy any more; at once when the control plane is away."""
        self._relay.report(self._agent.statuses.value)
        await self._relay.drained(ProxyName(pod.name))


async def serve(data_dir: Path) -> None:
    """Run the agent of a data directory until SIGTERM."""
    data = DataDirectory(data_dir.resolve())
    run = run_file_of(data)
    stop = stop_on_signals()
    machine = await machine_of(data, run)
    async with Relay(data.run / NODE_SOCKET, data.root / CACHE) as relay, asyncio.TaskGroup() as tasks:
        loading = tasks.create_task(relay.loaded())
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await AgentProcess(machine, relay).run(stop)
        loading.cancel()
        stopping.cancel()


def main() -> int:
    """The supervisor starts this."""
    return run_process("meshwright-agent", __doc__, serve)


if __name__ == "__main__":
    sys.exit(main())
