"""Hand-made ends of gRPC connections: what they say and answer is up to the test."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import TypeUrl
from meshwright.xds.grpc import prefix
from meshwright.xds.server import ADS_PATH


class RawClient(asyncio.Protocol):
    """An HTTP/2 client by the h2 library. While `silent` it answers nothing, not even a PING."""

    def __init__(self) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.transport: asyncio.Transport | None = None
        self.silent = False
        self.pings = 0
        self.data = 0
        self.ends: dict[int, dict[str, str]] = {}  # by stream: the headers that ended it; a reset as its code
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment] - uvloop's is one without saying so
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self.silent:
            return
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.PingReceived):
                self.pings += 1
            if isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived):
                fields = {bytes(name).decode(): bytes(value).decode() for name, value in event.headers}
                self.ends.setdefault(event.stream_id, {}).update(fields)
            if isinstance(event, h2.events.StreamReset):
                self.ends.setdefault(event.stream_id, {})["reset"] = str(int(event.error_code))
            if isinstance(event, h2.events.DataReceived):
                self.data += len(event.data)
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.over.set()

    def flush(self) -> None:
        """Write what there is."""
        assert self.transport is not None
        self.transport.write(self.h2.data_to_send())

    def open(self, stream: int, path: str = ADS_PATH) -> None:
        """Begin a call."""
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
        self.h2.send_headers(stream, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
        self.flush()

    def ask(self, stream: int, url: TypeUrl, *names: str) -> None:
        """Subscribe."""
        body = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names).SerializeToString()
        self.h2.send_data(stream, prefix(len(body)) + body)
        self.flush()


async def raw_client(path: Path, make: Callable[[], RawClient] = RawClient) -> RawClient:
    """Connected to a unix socket."""
    _, client = await asyncio.get_running_loop().create_unix_connection(make, str(path))
    return client
