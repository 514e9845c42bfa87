"""Bookinfo meshes of one person each, watched from outside: what serves, what is left."""

import http.client
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meshwright.processes import procfs, state
from tests.live.mesh import HANG, MESHWRIGHT, Mesh, free_port

NOBODY = 65534
ROOT = Path(__file__).parents[2]
WITHOUT_NAMESPACES = (
    "unshare",
    "-Ur",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"',
    "sh",
)


def as_nobody() -> tuple[str, ...]:
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")


def others_can_reach(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


@contextmanager
def bookinfo_mesh(wrapper: tuple[str, ...] = (), uid: int | None = None) -> Generator[Mesh]:
    """A mesh in a folder of its own, not up yet; at the end nothing of it runs and nothing is left.

    An ordinary user needs a tree within reach: where this one is not, a copy is used.
    """
    folder = Path(tempfile.mkdtemp(prefix="mws"))
    folder.chmod(0o755)
    home = folder / "home-of-a-user-with-a-long-name"  # paths to sockets below it are longer than their addresses
    home.mkdir(mode=0o700)
    program = (str(MESHWRIGHT),)
    environment = {"HOME": str(home)}
    if uid is not None:
        os.chown(home, uid, uid)
        if not others_can_reach(ROOT):
            tree = copy_tree(folder)
            program = (str(tree / ".venv/bin/python"), "-m", "meshwright.cli.main")
            environment["PYTHONPATH"] = str(tree / "src")
    mesh = Mesh(
        home / ".local/state/meshwright", free_port(), free_port(), folder, free_port(), environment, wrapper, program
    )
    try:
        yield mesh
    finally:
        subprocess.run(
            [str(MESHWRIGHT), "down", "--data", str(mesh.data), "--purge"],
            check=False,
            timeout=HANG,
            capture_output=True,
        )
        shutil.rmtree(folder, ignore_errors=True)


def copy_tree(folder: Path) -> Path:
    """The virtual environment and the source, where everybody can read them."""
    tree = folder / "tree"
    shutil.copytree(ROOT / ".venv", tree / ".venv", symlinks=True)
    shutil.copytree(ROOT / "src", tree / "src")
    shutil.copytree(ROOT / "samples", tree / "samples")
    return tree


def page(port: int, path: str = "/productpage") -> tuple[int, str]:
    """Status and body; status 0 = no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


@dataclass
class Load:
    """Pages asked one after the other until `end`; statuses in order."""

    port: int
    path: str = "/api/v1/products/0/reviews"
    statuses: list[int] = field(default_factory=list[int])
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            self.statuses.append(page(self.port, self.path)[0])

    def wait_for(self, more: int) -> None:
        """Until so many further requests are answered."""
        goal, end = len(self.statuses) + more, time.monotonic() + HANG
        while len(self.statuses) < goal:
            assert time.monotonic() < end, "the load stands still"
            time.sleep(0.01)


@contextmanager
def load(port: int, path: str = "/api/v1/products/0/reviews") -> Generator[Load]:
    running = Load(port, path)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield running
    finally:
        running.stopped.set()
        thread.join(HANG)


def pids(mesh: Mesh) -> dict[str, int]:
    """Process ids of supervisor and its children by name."""
    saved = state.read_json(state.DataDirectory(mesh.data).supervisor_state)
    return {"supervisor": saved["pid"], **{name: child["pid"] for name, child in saved["children"].items()}}


def marked(mesh_id: str) -> list[procfs.ProcessId]:
    """Every process on this machine that belongs to the mesh of this id."""
    return procfs.marked_by(state.MARKER, mesh_id)


def mesh_id(mesh: Mesh) -> str:
    return (mesh.data / "id").read_text().strip()


@contextmanager
def demo_of_root() -> Generator[Mesh]:
    """The demo as root, up; at its end no process of it runs and the host's network is as it was."""
    before = network_state()
    with bookinfo_mesh() as made:
        made.up([], profile="demo")
        identity = mesh_id(made)
        yield made
        made.down()
        assert marked(identity) == []
    assert network_state() == before


def envoy_of(mesh: Mesh, pod: str) -> int:
    """The process id of the Envoy of the first pod whose name begins so."""
    for process in marked(mesh_id(mesh)):
        folder = Path(f"/proc/{process.pid}")
        try:
            name, environment = (folder / "comm").read_text(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith("envoy") and f"MESHWRIGHT_POD={pod}".encode() in environment:
            return process.pid
    raise AssertionError(f"no Envoy of {pod}")


def network_state() -> tuple[str, str, str]:
    """Interfaces, named namespaces and nft tables of the host: a mesh must not touch them."""
    path = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}

    def said(*words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=False, env=path).stdout

    return (said("ip", "-o", "link"), said("ip", "netns"), said("nft", "list", "tables"))
