"""Runs the command line as its user does: a process, its output, its exit code."""

import os
import subprocess
import sys
from pathlib import Path

MESHWRIGHT = Path(sys.executable).parent / "meshwright"
ROOT = Path(__file__).parents[2]


def run(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, with at most 60 seconds."""
    return subprocess.run(
        [str(MESHWRIGHT), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
    )
