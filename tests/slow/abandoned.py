"""A test that is killed, with all that one has: a mesh, a program in a pod, an Envoy of its own, one that is stopped.

Not collected with the others: `test_killed_tests.py` runs it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.live.mesh import fill_in, own_mesh

PLACE = "MESHWRIGHT_ABANDONED"  # the folder in which it says what it has started


def test_that_never_ends() -> None:
    place = Path(os.environ[PLACE])
    with own_mesh() as mesh:
        mesh.up(fill_in(mesh, ["base"]))
        sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        stopped = subprocess.Popen(["sleep", "600"])
        stopped.send_signal(signal.SIGSTOP)
        words = [*mesh.program, "exec", "--data", str(mesh.data), "deploy/client.live", "--", "sleep", "600"]
        with subprocess.Popen(words) as inside:
            told = f"{os.getpid()} {sleeping.pid} {stopped.pid} {inside.pid}\n{mesh.data}\n"
            (place / "told.new").write_text(told)
            (place / "told.new").rename(place / "told")
            inside.wait()
