"""What the telemetry worker is told, and how, when the control plane is not there."""

import asyncio
import socket
from pathlib import Path

import pytest

from meshwright.console.seams import MeshAwayError
from meshwright.wiring.telemetry_process import ask_mesh


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(MeshAwayError, match="the control plane does not answer"):
        asyncio.run(ask_mesh(tmp_path / "mesh.sock", "changes", {}))


def test_a_control_plane_that_is_stopped(tmp_path: Path) -> None:
    """Its socket takes connections and says nothing: no question of the page waits for ever."""
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(tmp_path / "mesh.sock"))
        stopped.listen()
        with pytest.raises(MeshAwayError, match="stopped or stuck"):
            asyncio.run(ask_mesh(tmp_path / "mesh.sock", "undo", {"change": 1}, 0.1))
