"""What control plane and agent of one machine agree on: the run file's words and the holder's."""

import asyncio
import gc
from dataclasses import dataclass
from pathlib import Path

from meshwright.agent.settings import Rung
from meshwright.model.proxy import Interception
from meshwright.processes.holder_client import Disconnected, HolderClient
from meshwright.processes.state import DataDirectory
from meshwright.wiring.run_file import Forward, RunFile, read_run_file

NODE = "local"
"""The name of the one machine of an embedded mesh."""
NODE_SOCKET = "node.sock"
HOLDER_PAUSE_SECONDS = 0.05
YOUNG = 10_000
"""New objects (less those that are gone again) until Python looks through the youngest for cycles. Its own 700 are
passed by every change to a hundred classes of proxies, though all of that goes by reference counting."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine decides: rung, interception, the data directory, ports of the host."""

    rung: Rung
    interception: Interception
    data_dir: Path
    forwards: tuple[Forward, ...]


async def machine_of(data: DataDirectory, run: RunFile) -> Machine:
    """The machine this runs on, as `up` decided; waits until the holder serves."""
    rung = Rung(run.rung)
    return Machine(rung, await _interception(data, rung), data.root, run.forwards)


async def _interception(data: DataDirectory, rung: Rung) -> Interception:
    """How this sandbox tells a proxy's own traffic apart."""
    if rung is Rung.LOOPBACK:
        return Interception.NONE
    while True:
        try:
            async with HolderClient.session(data.holder_socket) as holder:
                hello = await holder.hello()
                return Interception.UID if hello.exclusion == "uid" else Interception.MARK
        except (Disconnected, OSError):
            await asyncio.sleep(HOLDER_PAUSE_SECONDS)


def run_file_of(data: DataDirectory) -> RunFile:
    """What `up` decided. Raises SystemExit, with what to do, where no mesh was started."""
    run = read_run_file(data.root)
    if run is None:
        raise SystemExit(f"{data.root} holds no mesh: start one with `meshwright up`")
    return run


def settle() -> None:
    """What is loaded now stays: keep the collector from walking it again and again, and from looking too often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
