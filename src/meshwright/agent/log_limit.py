"""Log files stay bounded: a file that has grown past the limit is copied to `NAME.1` and emptied.

The programs keep their descriptors, which append, so they go on at the new end; what they write between the copy
and the emptying is lost.
"""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

_PERIOD_SECONDS = 5.0


def oversized(folder: Path, limit: int) -> list[Path]:
    """The log files in `folder` of more than `limit` bytes."""
    found: list[Path] = []
    for path in folder.glob("*.log"):
        try:
            if path.stat().st_size > limit:
                found.append(path)
        except FileNotFoundError:
            continue
    return found


def turn_over(paths: Iterable[Path]) -> None:
    """Keep the content of each file beside it and empty it."""
    for path in paths:
        try:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            with path.open("r+b") as file:
                file.truncate(0)
        except FileNotFoundError:
            continue


async def keep_bounded(folder: Path, limit: int) -> None:
    """For ever."""
    while True:
        turn_over(oversized(folder, limit))
        await asyncio.sleep(_PERIOD_SECONDS)
