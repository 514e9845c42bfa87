"""The product under measurement: a mesh of its own, made by `meshwright up` and ended by `meshwright down`."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench._sandbox import HTTP1_HOST, HTTP2_HOST, PORT, PROXY, Side, application_command, outside_pid
from meshwright.processes.holder_client import HolderClient
from meshwright.processes.state import DataDirectory

NAMESPACE = "bench"
UP_SECONDS = 180
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Product:
    """A running mesh."""

    data: DataDirectory
    said: str

    async def status(self) -> dict[str, Any]:
        return json.loads(await _command("status", self.data, "-o", "json"))

    async def pod(self, start: str) -> str:
        """The only pod whose name starts like this."""
        names: list[str] = [pod["name"] for pod in (await self.status())["pods"] if pod["name"].startswith(start)]
        if len(names) != 1:
            raise RuntimeError(f"{len(names)} pods are called {start}*")
        return names[0]


@asynccontextmanager
async def product(
    files: Sequence[Path], documents: Sequence[Document] = (), profile: str = "minimal"
) -> AsyncGenerator[Product]:
    """A mesh for the length of a block. RuntimeError with what `up` said when it does not come up."""
    folder = Path(tempfile.mkdtemp(prefix="mwb", dir="/tmp"))  # short, for unix sockets
    folder.chmod(0o755)
    data = DataDirectory(folder / "data")
    own = folder / "bench.yaml"
    own.write_text(yaml.safe_dump_all(documents))
    words = ["--detach", "--profile", profile, "--http-port", str(_free_port()), "--https-port", str(_free_port())]
    words += ["--api-port", str(_free_port())]
    for file in (*files, *([own] if documents else [])):
        words += ["-f", str(file)]
    try:
        yield Product(data, await _command("up", data, *words))
    finally:
        if await asyncio.shield(asyncio.to_thread(_down, data)):
            shutil.rmtree(folder, ignore_errors=True)


async def _command(name: str, data: DataDirectory, *words: str) -> str:
    program = str(Path(sys.executable).parent / "meshwright")
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        running = await asyncio.create_subprocess_exec(
            program, name, "--data", str(data.root), *words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        try:
            async with asyncio.timeout(UP_SECONDS):
                code = await running.wait()
        finally:
            if running.returncode is None:
                running.terminate()
                await running.wait()
        texts: list[str] = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if code != 0:
        raise RuntimeError(f"meshwright {name} ended with {code}:\n{texts[0]}\n{texts[1]}")
    return texts[0]


def _down(data: DataDirectory) -> bool:
    """End the mesh; when that fails its folder must stay, as it says what still runs."""
    program = str(Path(sys.executable).parent / "meshwright")
    command = [program, "down", "--data", str(data.root), "--purge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode != 0:
        print(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}", file=sys.stderr)
    return done.returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def product_side(mesh: Product) -> Side:
    """The pair of pods of `pair_documents`."""
    client, server = await mesh.pod("client-"), await mesh.pod("server-")
    async with HolderClient.session(mesh.data.holder_socket) as holder:
        pids = tuple([await outside_pid(holder, pod, PROXY) for pod in (client, server)])
        [address] = [pod.ip for pod in (await holder.list()).pods if pod.pod == server]
    admins = tuple(mesh.data.pod(pod) / "admin.sock" for pod in (client, server))
    hosts = {True: HTTP2_HOST, False: HTTP1_HOST}
    return Side("meshwright", mesh.data.holder_socket, client, hosts, pids, admins, address)


async def all_proxies(mesh: Product) -> tuple[int, ...]:
    """The Envoy of every pod that has one."""
    names = [pod["name"] for pod in (await mesh.status())["pods"]]
    async with HolderClient.session(mesh.data.holder_socket) as holder:
        here = {pod.pod for pod in (await holder.list()).pods}
        return tuple([await outside_pid(holder, name, PROXY) for name in names if name in here])


def pair_documents() -> list[Document]:
    """A client, a server, and the server's two services: HTTP/2 between the proxies by `h2UpgradePolicy`, and the
    default, which is what the application speaks.
    """
    http2, http1 = (host.partition(".")[0] for host in (HTTP2_HOST, HTTP1_HOST))
    upgraded: Document = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": http2, "namespace": NAMESPACE},
        "spec": {
            "host": HTTP2_HOST,
            "trafficPolicy": {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}},
        },
    }
    strict: Document = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {"mtls": {"mode": "STRICT"}},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *_deployment("client", ["sleep", "1000000"]),
        *_deployment("server", application_command()),
        service(http2),
        service(http1),
        upgraded,
        strict,
    ]


def _deployment(name: str, command: list[str]) -> list[Document]:
    container = {"name": name, "image": f"bench/{name}", "command": command}
    meta = {"name": name, "namespace": NAMESPACE}
    deployment: Document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"serviceAccountName": name, "containers": [container]},
            },
        },
    }
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}, deployment]


def service(name: str) -> Document:
    """A service of the server's pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": "server"}, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
    }
