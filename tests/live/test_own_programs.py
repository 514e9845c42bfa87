"""A command's own files are seen inside the pod, also from /tmp, of which every pod has its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.live.mesh import Mesh


def test_a_program_in_tmp_runs_in_a_pod(mesh: Mesh) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="mwo", dir="/tmp") as folder,
        tempfile.NamedTemporaryFile(prefix="mwo-secret", dir="/tmp"),
    ):
        Path(folder).chmod(0o755)
        program = Path(folder) / "hello.py"
        program.write_text("import os\nprint(sorted(os.listdir('/tmp')))\n")
        seen = mesh.exec("deploy/client.live", sys.executable, str(program)).stdout
    assert Path(folder).name in seen
    assert "mwo-secret" not in seen  # the rest of the machine's /tmp is not there


def test_a_shell_finds_our_programs_too(mesh: Mesh) -> None:
    """As Istio's tasks have it: `sh -c "echo hello | nc ..."`, on a machine without nc."""
    words = "echo world | nc -w 5 tcp-echo 9100"
    assert mesh.exec("deploy/client.live", "sh", "-c", words).stdout == "hello world\n"
    argv = ["kubectl", "--kubeconfig", str(mesh.data / "kubeconfig"), "exec", "-n", "live", "deploy/client", "--"]
    by_kubectl = subprocess.run([*argv, "sh", "-c", words], capture_output=True, text=True, timeout=60, check=False)
    assert (by_kubectl.stdout, by_kubectl.returncode) == ("hello world\n", 0)
