"""A process with everything from the store to the sockets, for `bench.xds`: what is written is compiled and served.

Arguments: the number of proxies, the number of services, a folder for the store, one for the sockets. All proxies are
of one class; half of the services have a VirtualService. Commands on stdin: `change - - BASE64` writes one of these,
with a header that has the decoded text as its value, and tells when the write began; `stat`.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path

import uvloop

from bench._xds_commands import obeyed
from bench._xds_mesh import Held
from meshwright.agent.settings import Rung
from meshwright.controllers.resources import meaning
from meshwright.model.names import ENDPOINTS, ROUTES, ProxyName, ResourceName
from meshwright.model.planned_pod import PodPhase, PodStatus
from meshwright.model.proxy import Interception
from meshwright.store.limits import Limits
from meshwright.store.names import Author, Json, Key, Resource
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.writes import Create
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.machine import Machine, settle
from meshwright.wiring.store_follower import StoreFollower
from meshwright.xds.server import XdsServer

ME = Author("bench")
NAMESPACE = "default"
PORT = 9080
RULES = Resource("networking.istio.io", "virtualservices")
READY = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=())
BATCH = 200


def meta(name: str, **labels: str) -> Json:
    return {"name": name, "namespace": NAMESPACE, "labels": labels}


def pod(name: str, app: str) -> tuple[Key, Json]:
    container: Json = {"name": "app", "image": "x", "command": ["sleep"], "ports": [{"containerPort": PORT}]}
    spec: Json = {"nodeName": "here", "containers": [container]}
    value: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": meta(name, app=app), "spec": spec}
    return Key(Resource("", "pods"), NAMESPACE, name), value


def service(number: int) -> tuple[Key, Json]:
    name = f"shop-{number}"
    spec: Json = {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": PORT}]}
    value: Json = {"apiVersion": "v1", "kind": "Service", "metadata": meta(name), "spec": spec}
    return Key(Resource("", "services"), NAMESPACE, name), value


def rule(number: int, text: str) -> tuple[Key, Json]:
    name = f"shop-{number}"
    route: Json = {"destination": {"host": name}, "headers": {"request": {"set": {"x-turn": text}}}}
    value: Json = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": meta(name),
        "spec": {"hosts": [name], "http": [{"timeout": "3s", "route": [route]}]},
    }
    return Key(RULES, NAMESPACE, name), value


async def fill(store: Store, proxies: int, services: int) -> None:
    objects = [
        *(pod(f"pod-{number}", "client") for number in range(proxies)),
        *(pod(f"shop-{number}", "shop") for number in range(2)),
        *map(service, range(services)),
        *(rule(number, "none") for number in range(services // 2)),
    ]
    for at in range(0, len(objects), BATCH):
        await store.transact([Create(key, value) for key, value in objects[at : at + BATCH]], ME)


async def serve(proxies: int, services: int, data: Path, sockets: Path) -> None:
    store = await Store.open(SqliteEngine(data / "store"), system_sources(), Limits(), meaning)
    await fill(store, proxies, services)
    mesh = LiveMesh(Machine(Rung.ROOT, Interception.UID, data, ()))
    follower = StoreFollower(store, mesh, time.monotonic)
    await follower.load()
    names = [ProxyName(f"pod-{number}.{NAMESPACE}") for number in range(proxies)]
    shops = (ProxyName(f"shop-{number}.{NAMESPACE}") for number in range(2))
    mesh.ready(dict.fromkeys((*names, *shops), READY))

    async def change(held: Held) -> None:
        key, value = rule(0, held.value.decode())
        await store.update(key, value, ME)

    async with XdsServer(mesh.published) as server, asyncio.TaskGroup() as tasks:
        for number, name in enumerate(names):
            await server.add(name, sockets / str(number))
        following = tasks.create_task(follower.run())
        resources = mesh.published.value.resources_of(names[0])
        assert resources is not None, "every pod is published"
        settle()
        assert ResourceName(str(PORT)) in resources[ROUTES], "all services are on this port"
        await obeyed(change, {"endpoints": list(resources[ENDPOINTS]), "routes": str(PORT)})
        following.cancel()
    await store.close()


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    proxies, services, data, sockets = sys.argv[1:]
    uvloop.run(serve(int(proxies), int(services), Path(data), Path(sockets)))


if __name__ == "__main__":
    main()
