"""A real Envoy for a test: started on a unix socket, asked over its admin pipe, always stopped."""

import asyncio
import http.client
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.model.names import TYPE_PREFIX

BINARY = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "envoy"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ADS: dict[str, Any] = {"resource_api_version": "V3", "ads": {}}


@contextmanager
def folder() -> Generator[Path]:
    """A short path, because addresses of unix sockets are short."""
    path = Path(tempfile.mkdtemp(prefix="mwx", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _grpc_cluster(name: str, path: Path) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": TYPE_PREFIX + HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(path)}}}}]}],
        },
    }


def bootstrap(xds: Path, admin: Path, name: str = "web-1.default") -> dict[str, Any]:
    service = {"envoy_grpc": {"cluster_name": "xds-grpc"}, "timeout": "0s"}
    return {
        "node": {"id": f"sidecar~10.0.0.1~{name}~default.svc.cluster.local", "cluster": "web.default"},
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "dynamic_resources": {
            "lds_config": ADS,
            "cds_config": ADS,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [service],
            },
        },
        "static_resources": {"clusters": [_grpc_cluster("xds-grpc", xds), _grpc_cluster("sds-grpc", xds)]},
    }


@dataclass(frozen=True)
class Envoy:
    process: asyncio.subprocess.Process
    admin_path: Path
    log: Path

    def _ask(self, method: str, path: str) -> str:
        client = http.client.HTTPConnection("admin", timeout=10)
        client.sock = socket.socket(socket.AF_UNIX)
        try:
            client.sock.settimeout(10)
            client.sock.connect(str(self.admin_path))
            client.request(method, path)
            return client.getresponse().read().decode()
        finally:
            client.close()

    async def admin(self, path: str, method: str = "GET") -> str:
        return await asyncio.to_thread(self._ask, method, path)

    async def stat(self, name: str) -> int:
        """One counter or gauge; 0 when it is not there yet."""
        lines = (await self.admin(f"/stats?filter=^{name.replace('.', '[.]')}$")).splitlines()
        return int(lines[0].rpartition(": ")[2]) if lines else 0

    async def secret_chain(self) -> str:
        return json.dumps(json.loads(await self.admin("/certs")))


@asynccontextmanager
async def envoy(xds: Path, *options: str, name: str = "web-1.default") -> AsyncGenerator[Envoy]:
    with folder() as place:
        admin, log = place / "admin", place / "log"
        (place / "envoy.json").write_text(json.dumps(bootstrap(xds, admin, name)))
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                BINARY, "-c", str(place / "envoy.json"), "--concurrency", "1", "--disable-hot-restart",
                "-l", "warning", "--drain-time-s", "1", *options, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield Envoy(process, admin, log)
        except BaseException:
            print(log.read_text()[-4000:])
            raise
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def until(question: Any, wanted: object, seconds: float = 30.0) -> None:
    """Ask again and again; a hang guard, not a measure."""
    answer: object = None
    async with asyncio.timeout(seconds):
        while True:
            answer = await question()
            if answer == wanted:
                return
            await asyncio.sleep(0.02)


async def get(port: int, path: str = "/") -> tuple[int, str]:
    """One plain request; (0, reason) when nobody answers."""

    def ask() -> tuple[int, str]:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()
        except OSError as error:
            return 0, type(error).__name__
        finally:
            client.close()

    return await asyncio.to_thread(ask)
