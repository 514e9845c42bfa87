"""A command's own files are seen inside the pod, also from /tmp, of which every pod has its own."""

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
