"""The CLI's side of the agent's socket; standard library only, so that a command starts fast."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

from meshwright.processes.client import Client, connected
from meshwright.processes.spool import read_spools
from meshwright.processes.state import DataDirectory

PATIENCE_SECONDS = 10.0
LONG_PATIENCE_SECONDS = 40.0  # an Envoy is asked in between


def agent_socket(data_dir: Path) -> Path:
    """Where the agent of a mesh answers."""
    return DataDirectory(data_dir).run / "agent.sock"


async def ask(data_dir: Path, operation: str, **fields: str) -> dict[str, Any]:
    """One question. Raises client.RemoteError when it is refused, client.Disconnected when no agent answers and
    TimeoutError (an OSError) when one is there and does not.
    """
    async with asyncio.timeout(PATIENCE_SECONDS), connected(agent_socket(data_dir)) as client:
        return await _call(client, operation, fields)


async def _call(client: Client, operation: str, fields: dict[str, str]) -> dict[str, Any]:
    result, _ = await client.call(operation, dict(fields))
    return result.values


async def pods(data_dir: Path) -> list[dict[str, Any]]:
    """Every pod: name (`<pod>.<namespace>`) and the fields of PodStatus."""
    return list((await ask(data_dir, "pods"))["pods"])


async def lag(data_dir: Path) -> float:
    """How late its event loop was at worst in the last ten seconds, in seconds."""
    return float((await ask(data_dir, "lag"))["seconds"])


async def proxies(data_dir: Path) -> list[dict[str, Any]]:
    """Every proxy: name, ready, connected, synced, refused (resource names), complaints."""
    return list((await ask(data_dir, "proxies"))["proxies"])


async def log_files(data_dir: Path, pod: str, container: str = "") -> dict[str, Path]:
    """Container -> file, of one container or all (the Envoy's is `istio-proxy`)."""
    files: dict[str, str] = (await ask(data_dir, "logs", pod=pod, container=container))["files"]
    return {name: Path(path) for name, path in files.items()}


async def admin(data_dir: Path, pod: str, target: str) -> tuple[int, bytes]:
    """What the Envoy of a pod answers on its admin interface: HTTP status and body. Raises as `ask` does."""
    async with asyncio.timeout(LONG_PATIENCE_SECONDS), connected(agent_socket(data_dir)) as client:
        result, descriptors = await client.call("admin", {"pod": pod, "target": target})
        body = b"".join(read_spools(descriptors))
    return result.integer("status"), body


async def proxy(data_dir: Path, pod: str, *, content: bool = False) -> dict[str, Any]:
    """What the Envoy of a pod should run and says that it runs, see `proxy_facts`. Raises as `ask` does."""
    async with asyncio.timeout(PATIENCE_SECONDS), connected(agent_socket(data_dir)) as client:
        _, descriptors = await client.call("proxy", {"pod": pod, "content": content})
        body = b"".join(read_spools(descriptors))
    return cast("dict[str, Any]", json.loads(body))


async def stop(data_dir: Path) -> None:
    """Ask the agent to end the mesh in order; returns at once."""
    await ask(data_dir, "stop")
