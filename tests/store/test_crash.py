"""Killed at any moment, the store has lost nothing that it had acknowledged. More of it: tests/slow."""

import json
import subprocess
import sys
from pathlib import Path

POINTS = 200
ROOT = Path(__file__).parents[2]


def killed(folder: Path, points: int, seed: int) -> None:
    command = [sys.executable, "-m", "tests.store.crash", str(folder), str(points), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["wrong"] == []
    assert said["productive"] >= points // 4, said
    assert said["acknowledged"] >= points, said


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    killed(tmp_path / "store", POINTS, seed=4)
