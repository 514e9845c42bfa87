"""Port-forward to the console: some pods of the mesh's own namespace stand for it."""

import asyncio
import os
import socket
from collections.abc import Callable

from meshwright.agent.settings import Rung
from meshwright.apiserver.pod_streams import StreamError
from meshwright.model.objects import MeshObjects
from meshwright.processes import state
from meshwright.processes.state import DataDirectory
from meshwright.wiring.pod_streams import LocalPods

ANNOTATION = "meshwright.dev/console"
NAMESPACE = "istio-system"
ADDRESS = "127.0.0.1"
ADDRESSES = "telemetry.json"  # in run/: written by the process that serves the console
_CONNECT_SECONDS = 10.0


class ConsolePods(LocalPods):
    """LocalPods, where connections to the port in the annotation `meshwright.dev/console` of a pod in istio-system
    lead to the console. It is a process on the host that pods cannot reach, and shall not.
    """

    def __init__(self, data: DataDirectory, rung: Rung, known: Callable[[], MeshObjects | None]) -> None:
        super().__init__(data, rung)
        self._addresses_file = data.run / ADDRESSES
        self._known = known

    async def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """As LocalPods; raises StreamError when the console is not there."""
        if not self._stands_for_console(namespace, pod, port):
            return await super().dial(namespace, pod, port)
        console = state.read_json(self._addresses_file).get("console")
        if not isinstance(console, int):
            raise StreamError("the console is not up yet")
        made = socket.socket()
        made.setblocking(False)  # noqa: FBT003 - the socket's own interface
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (ADDRESS, console))
        except OSError as error:
            made.close()
            raise StreamError(f"the console does not answer: {os.strerror(error.errno or 0)}") from None
        except BaseException:
            made.close()
            raise
        return made

    def _stands_for_console(self, namespace: str, pod: str, port: int) -> bool:
        objects = self._known()
        if namespace != NAMESPACE or objects is None:
            return False
        found = (each for each in objects.pods if (each.meta.namespace, each.meta.name) == (namespace, pod))
        return any(each.template.annotations.get(ANNOTATION) == str(port) for each in found)
