"""A pytest process that is killed leaves nothing running: no mesh, no program, nothing in the host's network."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.mesh import HANG
from tests.slow.abandoned import PLACE
from tests.slow.bookinfo import ROOT, marked, network_state

INNER = Path(__file__).with_name("abandoned.py")


def until(claim: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + HANG
    while not claim():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", ["alone", "as a worker"])
def test_nothing_is_left_of_a_test_that_was_killed(workers: str, tmp_path: Path) -> None:
    before = network_state()
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INNER)]
    words += ["-n", "1", "--max-worker-restart", "0"] if workers == "as a worker" else []
    with subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, PLACE: str(tmp_path)}, stdout=subprocess.DEVNULL
    ) as outer:
        until((tmp_path / "told").exists, "the inner test has its mesh")
        pids, data = (tmp_path / "told").read_text().splitlines()
        identity = (Path(data) / "id").read_text().strip()
        assert len(marked(identity)) > 5
        tester, *others = map(int, pids.split())
        os.kill(tester, signal.SIGKILL)
        assert outer.wait(HANG) != 0
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others), "its programs are gone")
        until(lambda: not marked(identity), "its mesh is gone")
        until(lambda: not Path(data).exists(), "its data is gone")
    assert network_state() == before
