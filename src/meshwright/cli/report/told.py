"""What other commands of ours print, asked as their user would: a process each, which may hang or break alone."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.cli.answer import is_failure

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """How one command ended; `code` is None when it did not."""

    words: tuple[str, ...]
    code: int | None
    out: str
    err: str

    @property
    def text(self) -> str:
        """As it would stand in a terminal."""
        ended = "" if self.code == 0 else f"(exit code {self.code})" if self.code is not None else "(does not end)"
        parts = (f"$ meshwright {' '.join(self.words)}", self.out.rstrip(), self.err.rstrip(), ended)
        return "\n".join(part for part in parts if part) + "\n"

    @property
    def why(self) -> str:
        """What it complains of, in one line."""
        if self.code is None:
            return f"did not answer within {SECONDS:g} seconds"
        return (self.err.strip() or f"exit code {self.code}").splitlines()[-1].removeprefix("meshwright: ")

    def json(self) -> Any:
        """Its answer; None where it gave none, or only said why."""
        try:
            answer: Any = json.loads(self.out)
        except ValueError:
            return None
        return None if is_failure(answer) else answer


def ask(data: Path, words: Sequence[str], stdin: str = "") -> Told:
    """One command on the mesh of this data directory."""
    command = [sys.executable, "-m", "meshwright.cli.main", *words]
    environment = {**os.environ, "MESHWRIGHT_DATA": str(data)}
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return Told(tuple(words), None, "", "")
    return Told(tuple(words), done.returncode, done.stdout, done.stderr)
