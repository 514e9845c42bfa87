"""Commands while the control plane is being restarted: they wait for it, and are asked once."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from meshwright.cli import control
from meshwright.processes.client import NobodyThere
from meshwright.processes.messages import Fields
from meshwright.processes.server import Answer, Connection, Server
from meshwright.processes.state import DataDirectory
from meshwright.wiring.local_mesh import LocalMesh


def test_a_command_waits_for_a_control_plane_that_comes_back() -> None:
    asked: list[str] = []

    async def handle(connection: Connection, operation: str, fields: Fields) -> Answer:
        del connection
        asked.append(f"{operation} {fields.text('name')}")
        return {"said": "hello"}, []

    async def main(mesh: LocalMesh) -> None:
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(control.ask_patiently(mesh, "greet", {"name": "anna"}))
            await asyncio.sleep(control.RETRY_SECONDS * 2)
            assert not answer.done()
            serving = tasks.create_task(Server(mesh.mesh_socket, handle).serve(tasks))
            assert await answer == {"said": "hello"}
            serving.cancel()

    with tempfile.TemporaryDirectory() as folder:  # pytest's own paths are too long for a socket
        mesh = LocalMesh(DataDirectory(Path(folder)))
        mesh.data.run.mkdir()
        asyncio.run(main(mesh))
    assert [each for each in asked if not each.startswith("ping")] == ["greet anna"]


def test_in_the_end_it_says_that_nobody_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(control, "RESTART_SECONDS", control.RETRY_SECONDS * 2)
    with pytest.raises(NobodyThere, match="nothing answers at"):
        asyncio.run(control.ask_patiently(LocalMesh(DataDirectory(tmp_path)), "greet", {}))
