"""Places where nothing is yet: a mount needs something to stand on, and the host's file systems stay as they are.

So the nearest folder that is there is covered by one in memory that shows all its entries, and has room for more. For
a place directly below / the whole root is put together anew.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from meshwright.processes import syscalls

_ROOT = Path("/")
_GROUND = Path("/tmp")  # noqa: S108 - mounted over while the new root is built, not used


def make_room(targets: Iterable[Path], masked: Iterable[Path]) -> None:
    """Let the folder in which each target is to be made be one in memory. Descriptors that were opened before are of
    no use afterwards.

    The calling process's mount namespace must be its own. `masked` are folders that will be in memory anyway. Raises
    OSError.
    """
    writable = (*masked, Path("/run"))
    missing = {
        path for path in targets if not path.exists() and not any(path.is_relative_to(each) for each in writable)
    }
    grounds = {_nearest(path) for path in missing}
    if _ROOT in grounds:
        _renew_root()
    for ground in sorted(grounds - {_ROOT}, key=lambda path: len(path.parts)):
        _cover(ground)


def _nearest(path: Path) -> Path:
    """The closest folder above that is there."""
    return next(parent for parent in path.parents if parent.is_dir())


def _cover(folder: Path) -> None:
    """Put a folder in memory over `folder`, with everything that it holds."""
    entries = _entries(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    syscalls.mount("tmpfs", str(folder), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, f"mode={mode:o}")
    _show(folder, entries)


def _renew_root() -> None:
    """Make a folder in memory the root, with everything that the old one holds."""
    entries = _entries(_ROOT)
    syscalls.mount("tmpfs", str(_GROUND), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    _show(_GROUND, entries)
    syscalls.pivot_root(_GROUND)


def _entries(folder: Path) -> list[tuple[str, int | str]]:
    """Names with an open descriptor, or for a symbolic link where it leads."""
    found: list[tuple[str, int | str]] = []
    for entry in folder.iterdir():
        if entry.is_symlink():
            found.append((entry.name, str(entry.readlink())))
        elif entry.is_dir() or entry.is_file():
            found.append((entry.name, os.open(entry, os.O_PATH | os.O_CLOEXEC)))
    return found


def _show(folder: Path, entries: Iterable[tuple[str, int | str]]) -> None:
    for name, source in entries:
        place = folder / name
        if isinstance(source, str):
            place.symlink_to(source)
            continue
        try:
            _bind(source, place)
        finally:
            os.close(source)


def _bind(source: int, place: Path) -> None:
    """With everything that is mounted below; but /tmp alone, or it would show the new root inside itself."""
    if stat.S_ISDIR(os.fstat(source).st_mode):
        place.mkdir(mode=0o755)
    else:
        place.touch(mode=0o644)
    flags = syscalls.MS_BIND | (0 if place == _GROUND / _GROUND.name else syscalls.MS_REC)
    syscalls.mount(f"/proc/self/fd/{source}", str(place), None, flags)
