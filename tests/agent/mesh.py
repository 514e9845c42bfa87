"""A whole mesh for one test: real holder, real Envoys, real applications, and an agent in this process."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from meshwright.agent.agent import Agent
from meshwright.agent.http_client import HttpAnswer, HttpRequest, exchange
from meshwright.agent.ports import AgentPorts
from meshwright.agent.settings import AgentSettings, BackOff, Rung
from meshwright.asynctools.latest import Latest
from meshwright.model.image import Catalogue, ImageEntry
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Milliseconds, PortNumber, ProxyName
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.planned_pod import DesiredState, HostForward, PlannedPod, PodStatus
from meshwright.model.pod import Container, PodTemplate
from meshwright.model.proxy import Interception, Role
from meshwright.model.published import Published
from meshwright.model.workload import ContainerPort, Identity
from meshwright.processes import procfs
from meshwright.processes.holder_client import HolderClient, Inventory
from meshwright.processes.state import DataDirectory, read_json
from meshwright.xds.server import XdsServer
from tests.agent import envoy_config
from tests.agent.programs import SOURCE

INTERCEPTIONS = {Rung.ROOT: Interception.UID, Rung.USER: Interception.MARK, Rung.LOOPBACK: Interception.NONE}
WEB = ImageEntry("web", ("{python}", "-I", "-c", SOURCE), env=(("FROM_IMAGE", "yes"), ("SHADOWED", "image")))


def envoy_binary() -> Path:
    [path] = Path(sys.prefix).glob("lib/python3*/site-packages/envoy/_bin/envoy")
    return path


@contextlib.contextmanager
def data_directory() -> Generator[Path]:
    """A folder with a path longer than a socket address holds, as a user's own state directory may have."""
    path = Path(tempfile.mkdtemp(prefix="mwa", dir="/tmp"))
    data = path / ("d" * 100)
    data.mkdir(mode=0o700)
    try:
        yield data
    finally:
        shutil.rmtree(path, ignore_errors=True)


def origin(name: str) -> Origin:
    return Origin(ObjectRef("Pod", "demo", name))


def web(name: str = "app", **more: Any) -> Container:
    fields: dict[str, Any] = {"ports": (ContainerPort(PortNumber(9080), "http"),), **more}
    return Container(name, "example.com/web:1", origin(name), **fields)


def pod(name: str, number: int, *containers: Container, role: Role | None = Role.SIDECAR, **more: Any) -> PlannedPod:
    """Pod `name` with the address x.y.0.`number`; `more`: labels, annotations, owner, grace, network, hostname."""
    labels, annotations = Labels.of(more.get("labels", {})), Labels.of(more.get("annotations", {}))
    template = PodTemplate(
        labels, annotations, "default", containers or (web(),),
        hostname=more.get("hostname", ""), termination_grace=Milliseconds(more.get("grace", 2000)),
    )  # fmt: skip
    return PlannedPod(
        meta=Meta(ObjectRef("Pod", "demo", name), "", labels, annotations),
        template=template,
        address=f"{more.get('network', '10.244')}.0.{number}",
        owner=more.get("owner", name),
        identity=Identity("cluster.local", "demo", "default"),
        role=role,
    )


def application_address(address: str) -> str:
    return address.replace("127.66.", "127.67.")


def settings(data: Path, rung: Rung, **more: Any) -> AgentSettings:
    made = AgentSettings(
        data_dir=data,
        rung=rung,
        interception=INTERCEPTIONS[rung],
        envoy_path=envoy_binary(),
        back_off=BackOff(Milliseconds(50), Milliseconds(400)),
        drain_time=Milliseconds(3000),
        application_address=application_address if rung is Rung.LOOPBACK else (lambda address: address),
    )
    return replace(made, **more)


@dataclass
class Wired:
    """An agent with its xDS server. `notes` tells in order what the ports were asked."""

    agent: Agent
    server: XdsServer
    published: Latest[Published]
    settings: AgentSettings
    notes: list[str] = field(default_factory=list[str])
    config_maps: dict[tuple[str, str], Mapping[str, str]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, str]]
    )
    catalogue: list[ImageEntry] = field(default_factory=lambda: [WEB])

    def want(self, *pods: PlannedPod, forwards: tuple[HostForward, ...] = ()) -> None:
        """Publish what these pods' Envoys need (and those that are still there), then ask the agent for them."""
        known = {each.name: each for each in (*self.agent.desired.value.pods, *pods)}
        rung = self.settings.rung
        inside = "/run/meshwright/ingress" if rung is not Rung.LOOPBACK else "/nowhere"
        application = {each.address: application_address(each.address) for each in known.values()}
        config = envoy_config.published(list(known.values()), INTERCEPTIONS[rung], inside, application)
        self.published.set(config)
        names = (("web.demo.svc.cluster.local", tuple(each.address for each in pods)),)
        self.agent.desired.set(DesiredState(pods, names, forwards))

    def status(self, name: str) -> PodStatus | None:
        return self.agent.statuses.value.get(ProxyName(f"{name}.demo"))

    async def until(self, what: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for the statuses to make `what` true; a hang guard, not a measure."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = self.agent.statuses.value
                    if what():
                        return
                    await self.agent.statuses.newer_than(seen)
        except TimeoutError:
            raise AssertionError(f"never became true; statuses: {self.agent.statuses.value}") from None

    async def ready(self, *names: str, seconds: float = 30.0) -> None:
        await self.until(lambda: all((s := self.status(n)) is not None and s.ready for n in names), seconds)

    async def gone(self, *names: str) -> None:
        await self.until(lambda: all(self.status(name) is None for name in names))


@contextlib.asynccontextmanager
async def wired(made: AgentSettings) -> AsyncGenerator[Wired]:
    """An agent that is not running yet."""
    published = Latest(Published({}, {}, {}))
    async with XdsServer(published) as server:
        notes: list[str] = []
        config_maps: dict[tuple[str, str], Mapping[str, str]] = {}
        catalogue = [WEB]

        async def prepare_identity(planned: PlannedPod) -> None:
            notes.append(f"identity {planned.meta.name}")

        async def drained(planned: PlannedPod) -> None:
            status = agent.statuses.value[planned.name]
            notes.append(f"drained {planned.meta.name} ready={status.ready} phase={status.phase}")

        ports = AgentPorts(
            proxies=server,
            prepare_identity=prepare_identity,
            bootstrap=envoy_config.bootstrap,
            catalogue=lambda image: Catalogue((*(replace(e, pattern=f"*{e.pattern}") for e in catalogue),)).find(
                image
            ),
            config_map=lambda namespace, name: config_maps.get((namespace, name)),
            secret=lambda namespace, name: {"token": b"hidden"} if (namespace, name) == ("demo", "s") else None,
            drained=drained,
        )
        agent = Agent(made, ports, Latest(DesiredState()))
        yield Wired(agent, server, published, made, notes, config_maps, catalogue)


@dataclass
class Holder:
    """A real holder."""

    data: Path
    rung: Rung

    async def start(self) -> None:
        said = self.data / "holder-start.log"
        with said.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "meshwright.processes", "holder", "--data", str(self.data), "--rung", self.rung,
                "--single-uid", stdout=output, stderr=output,
            )  # fmt: skip
            code = await process.wait()
        if code != 0:
            raise AssertionError(said.read_text())
        known = self.process
        assert known is not None
        assert procfs.alive(known), "the state file must name the holder, or nobody could end it"

    @property
    def process(self) -> procfs.ProcessId | None:
        value = read_json(DataDirectory(self.data).holder_state)
        return procfs.ProcessId(value["pid"], value["start_time"]) if value else None

    async def kill(self, number: signal.Signals) -> None:
        process = self.process
        if process is None:
            return
        if procfs.alive(process):
            os.kill(process.pid, number)
        async with asyncio.timeout(20):
            while procfs.alive(process):
                await asyncio.sleep(0.02)

    def client(self) -> contextlib.AbstractAsyncContextManager[HolderClient]:
        return HolderClient.session(DataDirectory(self.data).holder_socket)

    async def inventory(self) -> Inventory:
        async with self.client() as client:
            return await client.list()


@contextlib.asynccontextmanager
async def holder(rung: Rung) -> AsyncGenerator[Holder]:
    with data_directory() as data:
        data.chmod(0o755)
        one = Holder(data, rung)
        await one.start()
        try:
            yield one
        finally:
            await one.kill(signal.SIGTERM)


@dataclass
class Mesh:
    """A running mesh."""

    holder: Holder
    wired: Wired

    async def get(self, source: str, target: str, path: str = "/", port: int = 9080) -> HttpAnswer:
        """A request from inside pod `source` to an address, as its application would make it."""
        return await get(self.holder, source, target, path, port)

    async def ask(self, name: str, path: str) -> Any:
        """The JSON that a pod's application answers to itself."""
        status = self.wired.status(name)
        assert status is not None
        inventory = await self.holder.inventory()
        [address] = [each.ip for each in inventory.pods if each.pod == f"{name}.demo"]
        rung = self.holder.rung
        return json.loads(
            (await self.get(name, application_address(address) if rung is Rung.LOOPBACK else address, path)).body
        )

    def log(self, name: str, container: str = "app") -> str:
        return (DataDirectory(self.holder.data).logs / f"demo_{name}_{container}.log").read_text()


async def get(holder: Holder, source: str, target: str, path: str = "/", port: int = 9080) -> HttpAnswer:
    async with asyncio.timeout(20), holder.client() as client:
        connection = await client.socket(f"{source}.demo")
        await asyncio.get_running_loop().sock_connect(connection, (target, port))
        return await exchange(connection, HttpRequest(path, (("Host", f"{target}:{port}"),)))


@contextlib.asynccontextmanager
async def mesh(rung: Rung = Rung.ROOT, **more: Any) -> AsyncGenerator[Mesh]:
    """Everything runs inside the block and nothing after it."""
    async with holder(rung) as one, wired(settings(one.data, rung, **more)) as made, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.agent.run())
        try:
            yield Mesh(one, made)
            if not running.done():
                await made.agent.stop()
        except Exception:
            # What a person would look at; pytest shows it when the test fails.
            for file in sorted(DataDirectory(one.data).logs.glob("*.log")):
                print(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}")
            print(made.notes, made.agent.statuses.value, made.server.status())
            raise
        finally:
            running.cancel()


@contextlib.asynccontextmanager
async def killed_agent(one: Holder, planned: PlannedPod) -> AsyncGenerator[Wired]:
    """An agent that is killed at the end of the block: it ends nothing."""
    async with wired(settings(one.data, one.rung)) as made, asyncio.TaskGroup() as tasks:
        made.want(planned)
        await made.agent.adopt()
        running = tasks.create_task(made.agent.run())
        yield made
        running.cancel()
