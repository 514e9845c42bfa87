"""The data directory: where each file of a mesh's processes is, who owns the directory, and small JSON files.

One mesh per data directory. Its id, a random number made once and kept in the file `id`, stands in the environment
of every process the mesh starts, so that a later run can tell its own leftovers from another mesh's.
"""

import fcntl
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKER = "MESHWRIGHT_RUN"
POD_MARKER = "MESHWRIGHT_POD"


_FOLDERS = frozenset({"run", "logs", "pods"})
_FILES = frozenset({"id", "lock", "run.json"})


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths below one data directory."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def run(self) -> Path:
        """Sockets and state of what runs now: nothing in it outlives the mesh."""
        return self.root / "run"

    @property
    def run_file(self) -> Path:
        """What the supervisor is to start, written by `up`."""
        return self.root / "run.json"

    @property
    def supervisor_state(self) -> Path:
        return self.run / "supervisor.json"

    @property
    def holder_state(self) -> Path:
        return self.run / "holder.json"

    @property
    def holder_socket(self) -> Path:
        return self.run / "holder.sock"

    @property
    def forwarder_socket(self) -> Path:
        return self.run / "forwarder.sock"

    @property
    def forwards(self) -> Path:
        return self.run / "forwards.json"

    @property
    def upstream(self) -> Path:
        """The folder of the socket by which the sandbox's DNS server asks the host's resolver."""
        return self.run / "upstream"

    @property
    def upstream_socket(self) -> Path:
        return self.upstream / "dns.sock"

    @property
    def store(self) -> Path:
        """The folder of the objects (`store.sqlite_engine`)."""
        return self.root / "store"

    @property
    def console_token(self) -> Path:
        """What logs in to the console."""
        return self.root / "console-token"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pods(self) -> Path:
        return self.root / "pods"

    def volumes(self, pod: str) -> Path:
        """The folder with a pod's volumes, seen by nobody but its containers. The holder removes it with the pod:
        what they wrote belongs to uids that only the sandbox may use.
        """
        return self.root / "volumes" / pod

    def pod(self, pod: str) -> Path:
        """The folder that a pod's Envoy and the agent share: sockets, bootstrap."""
        return self.pods / pod

    def prepare(self) -> None:
        """Make the folders, readable by the owner only, and the id, by which the directory is known as a mesh's."""
        self.mesh_id()
        for folder in (self.root, self.run, self.upstream, self.logs, self.pods):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The DNS server reaches it under another uid, by a mount that skips the folders above.
        self.upstream.chmod(0o711)

    def is_of_others(self) -> bool:
        """Whether the directory holds something and no mesh has ever been in it. Raises OSError."""
        try:
            names = {path.name for path in self.root.iterdir()}
        except FileNotFoundError:
            return False
        return not names & _FILES and not names <= _FOLDERS

    def mesh_id(self) -> str:
        """The id of this mesh, made at the first call."""
        path = self.root / "id"
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = secrets.token_hex(16)
        temporary = path.with_name(f".id.{os.getpid()}")
        try:
            temporary.write_text(fresh + "\n", encoding="ascii")
            os.link(temporary, path)  # whole or not at all: a disk may be full
        except FileExistsError:
            return path.read_text(encoding="ascii").strip()
        finally:
            temporary.unlink(missing_ok=True)
        return fresh


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file whole: a reader sees the old or the new one, never half of it."""
    replace_file(path, (json.dumps(value, indent=1) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by the owner only. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.chmod(0o600)
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty when the file is absent or not a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def try_lock(data: DataDirectory) -> int | None:
    """Take the data directory for this process; the descriptor to keep open, None when another mesh holds it."""
    data.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove_tree(folder: Path) -> None:
    """Remove a folder with all it holds, as far as we may; symbolic links are removed, not followed."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            with suppress(OSError):
                Path(entry.path).unlink()
    with suppress(OSError):
        folder.rmdir()
