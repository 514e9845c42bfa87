"""The process that runs a mesh from files: `python -m meshwright.wiring.mesh_process --data DIR`.

It reads what `up` kept, compiles it, and brings it about with the agent; readiness of pods changes endpoints. It
may be killed at any time: pods and proxies go on, and the next one adopts them.
"""

import asyncio
import logging

from meshwright.agent.settings import Rung
from meshwright.model.proxy import Interception
from meshwright.processes.holder_client import Disconnected, HolderClient
from meshwright.processes.state import DataDirectory

LOG = logging.getLogger("meshwright")
DRAIN_BOUND_SECONDS = 5.0


async def interception_of(data: DataDirectory, rung: Rung) -> Interception:
    """How this sandbox tells a proxy's own traffic apart; waits until the holder serves."""
    if rung is Rung.LOOPBACK:
        return Interception.NONE
    while True:
        try:
            async with HolderClient.session(data.holder_socket) as holder:
                hello = await holder.hello()
                return Interception.UID if hello.exclusion == "uid" else Interception.MARK
        except (Disconnected, OSError):
            await asyncio.sleep(0.05)
