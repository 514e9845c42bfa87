"""A start that does not come to its end: what the user is told, and that nothing is left running."""

import os
import signal
import subprocess

import pytest

from tests.live.mesh import HANG
from tests.slow.bookinfo import bookinfo_mesh, marked, mesh_id


@pytest.mark.timeout(240)
@pytest.mark.parametrize("detached", [["--detach"], []])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_before_the_pods_are_ready(detached: list[str], number: signal.Signals) -> None:
    with bookinfo_mesh() as mesh:
        words = ["up", "--profile", "demo", "--data", str(mesh.data), "--http-port", str(mesh.host_port)]
        words += ["--https-port", str(mesh.host_tls_port), "--api-port", str(mesh.api_port), *detached]
        heard = ["env", "--default-signal=INT"]  # a shell's background jobs, and so this test, may ignore it
        with subprocess.Popen([*heard, *mesh.program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
            assert up.stdout is not None
            assert up.stderr is not None
            try:
                while b"processes started" not in (line := up.stdout.readline()):
                    assert line, "up ended before its time"
                identity = mesh_id(mesh)
                up.send_signal(number)
                assert up.wait(HANG) == 1
                assert b"the mesh is stopped" in up.stderr.read()
            finally:
                up.kill()
        assert marked(identity) == []


@pytest.mark.timeout(240)
def test_a_full_disk_is_told() -> None:
    assert os.geteuid() == 0, "this test mounts a small file system, so it needs root"
    with bookinfo_mesh() as mesh:
        mesh.data.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "small", str(mesh.data)], check=True)
        try:
            done = mesh.run("up", "--detach", "--profile", "demo", "--http-port", str(mesh.host_port), check=False)
            assert done.returncode == 1
            assert "No space left on device" in done.stderr
            mesh.run("down")
        finally:
            subprocess.run(["umount", str(mesh.data)], check=True)
