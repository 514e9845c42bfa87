"""A sandbox of the product's kind for what is measured beside it: the rival's pods, and pods without a proxy."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import _rival as rival
from bench._load import Target
from meshwright.processes import procfs
from meshwright.processes.holder_client import Disconnected, HolderClient, Interception, PodInfo, PodSpec, SpawnSpec
from meshwright.processes.state import DataDirectory, read_json, remove_tree
from meshwright.wiring.envoy_binary import envoy_path

PORT = 8080
HTTP2_HOST, HTTP1_HOST = "server-h2.bench.svc.cluster.local", "server-h1.bench.svc.cluster.local"
HOSTS = {HTTP2_HOST: True, HTTP1_HOST: False}
CLIENT, SERVER = "client.bench", "server.bench"
PLAIN_CLIENT, PLAIN_SERVER = "plain-client.bench", "plain-server.bench"
IDENTITIES = ("spiffe://cluster.local/ns/bench/sa/client", "spiffe://cluster.local/ns/bench/sa/server")
ADDRESSES = {CLIENT: "10.244.0.11", SERVER: "10.244.0.12", PLAIN_CLIENT: "10.244.0.13", PLAIN_SERVER: "10.244.0.14"}
VIRTUAL = {HTTP2_HOST: ["240.240.0.11"], HTTP1_HOST: ["240.240.0.12"]}
PROXY = "istio-proxy"  # the name under which the product's agent starts its Envoys, too
END_SECONDS = 20


def application_command() -> list[str]:
    """How the server application is started, here and in the product's Deployment."""
    config = json.dumps(rival.application(PORT))
    return [str(envoy_path()), "--config-yaml", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


@dataclass(frozen=True, slots=True)
class Side:
    """One thing that is measured: where its load runs; pids and admin sockets of the client's and server's Envoy."""

    name: str
    holder: Path
    client_pod: str
    hosts: dict[bool, str]
    proxies: tuple[int, ...] = ()
    admins: tuple[Path, ...] = ()
    server_address: str = ""

    def target(self, *, http2: bool) -> Target:
        return Target(self.holder, self.client_pod, f"http://{self.hosts[http2]}:{PORT}/")


@asynccontextmanager
async def sandbox() -> AsyncGenerator[tuple[HolderClient, DataDirectory]]:
    """A holder of its own. Everything in it ends with the block. RuntimeError with the reason when it cannot be."""
    # the path must be short: unix sockets
    data = DataDirectory(Path(tempfile.mkdtemp(prefix="mwb", dir="/tmp")))
    rung = "root" if os.geteuid() == 0 else "user"
    try:
        command = [sys.executable, "-m", "meshwright.processes", "holder", "--data", str(data.root), "--rung", rung]
        with tempfile.TemporaryFile() as output:  # no pipe: the holder keeps it open
            running = partial(subprocess.run, command, stdout=output, stderr=output, check=False)
            started = await asyncio.to_thread(running)
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if started.returncode != 0:
            raise RuntimeError(f"no network namespaces here, which this measurement needs: {said}")
        async with HolderClient.session(data.holder_socket) as holder:
            yield holder, data
    finally:
        await _end(data)


async def _end(data: DataDirectory) -> None:
    known = read_json(data.holder_state)
    holder = procfs.ProcessId(known["pid"], known["start_time"]) if known else None
    if holder is not None:
        with suppress(Disconnected, TimeoutError):
            async with asyncio.timeout(END_SECONDS), HolderClient.session(data.holder_socket) as client:
                await client.shutdown()
        for _ in range(END_SECONDS * 20):
            if not procfs.alive(holder):
                break
            await asyncio.sleep(0.05)
        else:
            os.kill(holder.pid, signal.SIGKILL)
    remove_tree(data.root)


async def rival_and_direct(holder: HolderClient, data: DataDirectory) -> tuple[Side, Side]:
    """The rival's two pods with their hand-written Envoys, and two pods that talk without any proxy."""
    hello = await holder.hello()
    rules = Interception()
    search = ("bench.svc.cluster.local", "svc.cluster.local", "cluster.local")
    pods = {
        pod.pod: pod
        for pod in await holder.add_pods([
            PodSpec(
                name, address, name.partition(".")[0], search=search,
                interception=rules if name in (CLIENT, SERVER) else None,
            )
            for name, address in ADDRESSES.items()
        ])
    }  # fmt: skip
    await holder.replace_dns({**VIRTUAL, "plain.bench.svc.cluster.local": [ADDRESSES[PLAIN_SERVER]]})
    client, server = rival.certificates(IDENTITIES)
    inside = {name: str(pods[name].inside / "admin.sock") for name in (CLIENT, SERVER)}
    configs = {
        CLIENT: rival.client_proxy((ADDRESSES[SERVER], PORT), HOSTS, client, IDENTITIES[1], inside[CLIENT]),
        SERVER: rival.server_proxy(PORT, server, IDENTITIES[0], inside[SERVER]),
    }
    for name, config in configs.items():
        if hello.exclusion == "mark":
            config["cluster_manager"] = {"upstream_bind_config": _marked()}
        await _spawn_proxy(holder, data, pods[name], config)
    for name in (SERVER, PLAIN_SERVER):
        command = application_command()
        await holder.spawn(
            SpawnSpec(name, "app", tuple(command), output=_log(data, name, "app"), expose=(command[0],))
        )
    measured = Side(
        "rival", data.holder_socket, CLIENT, {http2: host for host, http2 in HOSTS.items()},
        tuple([await outside_pid(holder, name, PROXY) for name in (CLIENT, SERVER)]),
        tuple(pods[name].folder / "admin.sock" for name in (CLIENT, SERVER)), ADDRESSES[SERVER],
    )  # fmt: skip
    plain = "plain.bench.svc.cluster.local"
    return measured, Side("direct", data.holder_socket, PLAIN_CLIENT, {True: plain, False: plain})


def _marked() -> dict[str, Any]:
    """Where all pods share one uid the redirection knows the proxy by its mark, as the product's Envoys set it."""
    mark = {"level": 1, "name": 36, "int_value": 1337, "state": "STATE_PREBIND"}
    return {"source_address": {"address": "0.0.0.0", "port_value": 0}, "socket_options": [mark]}


async def _spawn_proxy(holder: HolderClient, data: DataDirectory, pod: PodInfo, config: dict[str, Any]) -> None:
    file = pod.folder / "rival.json"
    file.write_text(json.dumps(config))
    file.chmod(0o644)
    command = (
        str(envoy_path()), "-c", str(pod.inside / "rival.json"),
        "--concurrency", "1", "--disable-hot-restart", "-l", "error",
    )  # fmt: skip
    log = _log(data, pod.pod, PROXY)
    await holder.spawn(SpawnSpec(pod.pod, PROXY, command, role="proxy", output=log, expose=(command[0],)))


def _log(data: DataDirectory, pod: str, name: str) -> str:
    return str(data.logs / f"{pod}.{name}.log")


async def outside_pid(holder: HolderClient, pod: str, name: str) -> int:
    """The pid, as this side counts, of a process of a pod."""
    handle = await holder.pidfd(pod, name)
    os.close(handle.pidfd)
    if handle.pid is None:
        raise RuntimeError(f"process {name} of pod {pod} is not visible here")
    return handle.pid
