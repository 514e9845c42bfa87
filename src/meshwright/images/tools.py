"""What the curl images start with: a program and its arguments, or else arguments of curl.

`-s http://reviews:9080` runs curl with them, `sleep 1000` runs sleep: as the entry point of the image does.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

OURS = {"curl": "meshwright.images.curl", "sleep": "meshwright.images.sleep", "nc": "meshwright.images.netcat"}
"""What there is in any case, also on a machine that has no such program: name -> module."""

FOLDER = Path(__file__).parent / "bin"
"""The same as files, for shells: to be the last folder of PATH."""
INTERPRETER = "MESHWRIGHT_PYTHON"
"""The variable with the Python that those files run in."""


def words(arguments: list[str]) -> list[str]:
    """The command to run."""
    found = arguments or ["--help"]
    if found[0].startswith("-") or not (shutil.which(found[0]) or found[0] in OURS):
        found = ["curl", *found]
    if shutil.which(found[0]):
        return found
    return [sys.executable, "-I", "-m", OURS[found[0]], *found[1:]]


def main() -> None:
    """Become the command."""
    argv = words(sys.argv[1:])
    os.execvp(argv[0], argv)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
