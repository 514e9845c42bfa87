"""What a process sees of the file system: folders masked by empty ones, and what is bound back into the view.

`view_for` decides (it only looks), `apply` does it in a mount namespace of the caller's own. Nothing is ever
created on the host's file systems: only inside folders in memory that stand over them.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meshwright.processes import places, syscalls


@dataclass(frozen=True, slots=True)
class Mask:
    """An empty folder in memory over `path`."""

    path: Path
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Bind:
    """`source` (a file or folder of the sandbox) seen at `target`."""

    source: Path
    target: Path
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Masks first, then binds, then `hidden`, so that no bind can show what is to be hidden."""

    masks: tuple[Mask, ...] = ()
    binds: tuple[Bind, ...] = ()
    hidden: tuple[Path, ...] = ()


def untraversable_ancestor(path: Path, uid: int) -> Path | None:
    """The topmost folder above `path` that a process with this uid, in no group, cannot pass; None if it can."""
    for ancestor in reversed(path.parents):
        try:
            status = ancestor.stat()
        except OSError:
            return None
        needed = 0o100 if status.st_uid == uid else 0o001
        if not status.st_mode & needed:
            return ancestor
    return None


def view_for(
    uid: int,
    exposed: Iterable[Path],
    binds: Iterable[Bind] = (),
    private: Iterable[Path] = (),
    hidden: Iterable[Path] = (),
) -> View:
    """The view of a process with `uid` that must reach every path of `exposed`.

    `private` folders (such as /tmp) become empty ones of its own; a folder on the way to an exposed path that the
    uid could not pass is masked too, and holds nothing but that path.
    """
    masks = {path: Mask(path, 0o1777) for path in private}
    back: dict[Path, Bind] = {}
    # A path is reachable only if both it and what its symbolic links lead to are.
    wanted = {name: _real(path) for path in exposed for name in (_real(path), path.absolute())}
    for name in wanted:
        barrier = untraversable_ancestor(name, uid)
        if barrier is not None:
            masks.setdefault(barrier, Mask(barrier))
    for name, real in wanted.items():
        if real.exists() and any(name.is_relative_to(mask) for mask in masks):
            back[name] = Bind(real, name)
    return View(tuple(masks.values()), (*back.values(), *binds), tuple(hidden))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def apply(view: View) -> None:
    """Make the calling process's mount namespace, which must be its own and private, look like `view`."""
    places.make_room((bind.target for bind in view.binds), (mask.path for mask in view.masks))
    # Sources are opened before anything else: a mask may be about to cover them.
    sources = [os.open(bind.source, os.O_PATH | os.O_CLOEXEC) for bind in view.binds]
    masked: list[Path] = []
    for mask in sorted(view.masks, key=lambda mask: len(mask.path.parts)):
        if mask.path.is_dir():
            _mount_memory(mask)
            masked.append(mask.path)
    for bind, source in sorted(zip(view.binds, sources, strict=True), key=lambda pair: len(pair[0].target.parts)):
        _bind(bind, source)
    for path in view.hidden:
        if path.is_dir():
            _mount_memory(Mask(path))
    for source in sources:
        os.close(source)


def _mount_memory(mask: Mask) -> None:
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", str(mask.path), "tmpfs", flags, f"mode={mask.mode:o}")


def _bind(bind: Bind, source: int) -> None:
    if not bind.target.exists():
        _make_place(bind, source)
    name = f"/proc/self/fd/{source}"
    syscalls.mount(name, str(bind.target), None, syscalls.MS_BIND | syscalls.MS_REC)
    if bind.read_only:
        _make_read_only(bind.target)


def _make_read_only(target: Path) -> None:
    # A user namespace may not take away flags that the mount came with, so those are said again.
    flags = os.statvfs(target).f_flag & (syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    change = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
    syscalls.mount("none", str(target), None, change | flags)


def _make_place(bind: Bind, source: int) -> None:
    # By the descriptor: the source's own path may be masked by now.
    if stat.S_ISDIR(os.fstat(source).st_mode):
        bind.target.mkdir(mode=0o755, parents=True, exist_ok=True)
    else:
        bind.target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        bind.target.touch(mode=0o644)


def mount_proc(*, hide_others: bool) -> None:
    """A new /proc for the pid namespace of the caller; `hide_others`: other users' processes are not in it."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags, "hidepid=2" if hide_others else "")
