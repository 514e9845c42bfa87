"""Plain TCP goes through both proxies."""

from tests.live.mesh import Mesh


def test_bytes_come_back(mesh: Mesh) -> None:
    assert mesh.python("deploy/client.live", "line.py", "tcp-echo", "9100", "world").strip() == "hello world"
