"""The parts of pods that are streams, for make_api."""

from meshwright.apiserver.api import Part, Streams
from meshwright.apiserver.pod_logs import PodLogs
from meshwright.apiserver.pod_streams import PodStreams
from meshwright.apiserver.port_forward import PortForward
from meshwright.apiserver.remote_command import RemoteCommands
from meshwright.store.store import Store


def pod_parts(store: Store, machine: PodStreams, streams: Streams) -> tuple[Part, ...]:
    """`log`, `exec`, `attach` and `portforward`. `streams` must be the API's own: they end when it stops."""
    return (
        PodLogs(store, machine, streams).part(),
        *RemoteCommands(store, machine, streams).parts(),
        PortForward(store, machine, streams).part(),
    )
