"""Writing into a pod's folder, which the pod's Envoy owns: links that it may have put there are never followed."""

import os
from pathlib import Path


def place(path: Path, content: bytes) -> None:
    """Put a file that everybody who reaches the folder may read at `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o644)
        file.write(content)
    temporary.replace(path)


def open_folder(path: Path) -> None:
    """Make a folder in which also Envoy, under its own uid, may make files; the pod's folder above protects it."""
    path.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o777)
    finally:
        os.close(descriptor)
