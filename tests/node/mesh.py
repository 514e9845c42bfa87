"""Small states of a mesh, and both ends of a node's stream in one process."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from meshwright.asynctools.latest import Latest
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import ENDPOINTS, ROUTES, Namespace, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.planned_pod import DesiredState, PlannedPod, PodPhase, PodStatus
from meshwright.model.pod import Container, PodTemplate
from meshwright.model.proxy import Interception, ProxyClass, Role
from meshwright.model.published import EncodedResource, Published
from meshwright.model.workload import Identity
from meshwright.node.progress import Live
from meshwright.node.relay import Relay
from meshwright.node.server import NodeServer
from meshwright.node.state import Documents
from meshwright.xds.subscription import NOTHING


def pod(name: str, role: Role | None = Role.SIDECAR, image: str = "web:1", address: str = "10.0.0.1") -> PlannedPod:
    ref = ObjectRef("Pod", "default", name)
    container = Container("app", image, Origin(ref, "spec.containers[0]"))
    template = PodTemplate(Labels.of({"app": name}), Labels(), name, (container,))
    return PlannedPod(Meta(ref), template, address, name, Identity("cluster.local", "default", name), role)


def status(*, ready: bool = True) -> PodStatus:
    return PodStatus(PodPhase.RUNNING, ready, ready, ())


def proxy_class(name: str) -> ProxyClass:
    return ProxyClass(
        Role.SIDECAR,
        Namespace("default"),
        Interception.UID,
        "1.40.0",
        matched=(ObjectRef("Sidecar", "default", name),),
    )


def resource(url: TypeUrl, name: str, version: str, size: int = 100) -> EncodedResource:
    """Opaque bytes: the stream does not look into them."""
    value = (version * size)[:size].encode()
    return EncodedResource(url, ResourceName(name), Version(version), (name.encode(), value))


def endpoints(name: str, version: str, size: int = 100) -> EncodedResource:
    return resource(ENDPOINTS, name, version, size)


def published(classes: dict[str, tuple[EncodedResource, ...]], proxies: dict[str, str], change: int = 0) -> Published:
    """Class name -> resources, pod name -> class name."""
    made = {name: proxy_class(name) for name in classes}
    resources: dict[ProxyClass, dict[TypeUrl, dict[ResourceName, EncodedResource]]] = {}
    for name, items in classes.items():
        sorted_out: dict[TypeUrl, dict[ResourceName, EncodedResource]] = {ENDPOINTS: {}, ROUTES: {}}
        for item in items:
            sorted_out[item.type_url][item.name] = item
        resources[made[name]] = sorted_out
    return Published(
        {ProxyName(f"{each}.default"): made[to] for each, to in proxies.items()},
        resources,
        {made[name]: (ResourceName("default"), ResourceName("ROOTCA")) for name in classes},
        change=change,
    )


def bytes_of(state: Published) -> dict[str, object]:
    """Everything in it that a node gets, to be compared."""
    assert NOTHING == {}
    return {
        "proxies": dict(state.proxies),
        "secrets": dict(state.secrets),
        "classes": {
            key: {url: {n: (i.version, i.frame, i.value) for n, i in named.items()} for url, named in types.items()}
            for key, types in state.classes.items()
        },
        "change": state.change,
    }


def refuse(identity: Identity, csr_pem: bytes) -> bytes:
    del identity, csr_pem
    raise ValueError("nobody signs here")


async def at_once(pod: ProxyName) -> None:
    del pod


async def live_on_all(server: NodeServer, change: int, seconds: float) -> bool:
    """Wait until no published proxy is waiting for `change` (absent ones do not count); False after so long."""
    try:
        await until(lambda: Live.WAITING not in server.live(change).values(), seconds)
    except TimeoutError:
        return False
    return True


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """A hang guard, not a measure."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class ControlPlane:
    """What the control plane's side has, whether it runs or not."""

    def __init__(self, place: Path) -> None:
        self.socket = place / "node"
        self.published = Latest(Published({}, {}, {}))
        self.desired = Latest(DesiredState())
        self.documents: Latest[Documents] = Latest({})
        self.roots = Latest(b"roots")
        self.sign: Callable[[Identity, bytes], bytes] = refuse
        self.drained: Callable[[ProxyName], Awaitable[None]] = at_once

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[NodeServer]:
        async with NodeServer(self.published, self.sign, self.drained, roots_pem=self.roots) as server:
            await server.add("local", self.desired, self.documents, path=self.socket)
            yield server


def relay(place: Path) -> Relay:
    return Relay(place / "node", place / "node-cache")
