"""The CLI's side of the agent's socket; standard library only, so that a command starts fast."""

from pathlib import Path
from typing import Any

from meshwright.processes.client import Client, connected
from meshwright.processes.state import DataDirectory


def agent_socket(data_dir: Path) -> Path:
    """Where the agent of a mesh answers."""
    return DataDirectory(data_dir).run / "agent.sock"


async def ask(data_dir: Path, operation: str, **fields: str) -> dict[str, Any]:
    """One question. Raises client.RemoteError when it is refused, client.Disconnected when no agent answers."""
    async with connected(agent_socket(data_dir)) as client:
        return await _call(client, operation, fields)


async def _call(client: Client, operation: str, fields: dict[str, str]) -> dict[str, Any]:
    result, _ = await client.call(operation, dict(fields))
    return result.values


async def pods(data_dir: Path) -> list[dict[str, Any]]:
    """Every pod: name (`<pod>.<namespace>`) and the fields of PodStatus."""
    return list((await ask(data_dir, "pods"))["pods"])


async def proxies(data_dir: Path) -> list[dict[str, Any]]:
    """Every proxy: name, ready, connected, synced, refused (resource names), complaints."""
    return list((await ask(data_dir, "proxies"))["proxies"])


async def log_files(data_dir: Path, pod: str, container: str = "") -> dict[str, Path]:
    """Container -> file, of one container or all (the Envoy's is `istio-proxy`)."""
    files: dict[str, str] = (await ask(data_dir, "logs", pod=pod, container=container))["files"]
    return {name: Path(path) for name, path in files.items()}


async def stop(data_dir: Path) -> None:
    """Ask the agent to end the mesh in order; returns at once."""
    await ask(data_dir, "stop")
